"""Tells everybody something: `trunkline events publish deployment.completed --payload '{"service": "api"}'`."""

from __future__ import annotations

import argparse
import asyncio
from typing import Final

from trunkline_cli.console import OK, out, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.plain import one_line
from trunkline_cli.said import json_object

SOURCE: Final = "trunkline-cli"


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", required=True, metavar="publish")
    text = "Publishes an event: on the timeline of its task, and heard by whoever listens. Trunkline itself acts on none of it."
    publish = what.add_parser("publish", help="publish an event", description=text, allow_abbrev=False)
    publish.add_argument("type", help="dotted lower-case words, such as deployment.completed")
    publish.add_argument("--payload", metavar="JSON|@FILE", default="{}", help="a JSON object, or @FILE with one (@-: standard input)")
    publish.add_argument("--task", metavar="ID", help="the task that it is about; it must be there")
    publish.add_argument("--trace", metavar="ID", help="the trace that it belongs to")
    publish.add_argument("--source", metavar="NAME", default=SOURCE, help="what you call yourself (default: %(default)s)")
    publish.add_argument("--priority", choices=("P0", "P1", "P2", "P3"), help="how pressing it is")
    publish.add_argument("--json", action="store_true", help="print one JSON document")
    add_gateway(publish)


def run(args: argparse.Namespace) -> int:
    answer = asyncio.run(_publish(args, body(args)))
    if args.json:
        print_json(answer)
    else:
        out().print(one_line(f"{args.type}: {answer.get('message') or 'published'}"), markup=False)
    return OK


def body(args: argparse.Namespace) -> Object:
    """What is sent. Raises Invalid."""
    said: Object = {"task_id": args.task, "trace_id": args.trace, "priority": args.priority}
    needed: Object = {"event_type": args.type, "source_agent": args.source, "payload": json_object("--payload", args.payload)}
    return needed | {name: value for name, value in said.items() if value is not None}


async def _publish(args: argparse.Namespace, event: Object) -> Object:
    async with opened(args) as door:
        return await Orchestrator(door).publish(event)
