"""Submits a task of a type, for the agents that its type belongs to; `trunkline run` submits one on a repository."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.console import OK, out, print_json, program
from trunkline_cli.door import add_gateway, opened, same_door
from trunkline_cli.forge_token import forge_token
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.paging import positive
from trunkline_cli.plain import one_line
from trunkline_cli.said import json_object
from trunkline_cli.terms import add_terms, terms


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--type", required=True, help="the kind of work, such as bugfix or deployment; it decides whose agents do it")
    parser.add_argument("--payload", required=True, metavar="JSON|@FILE", help="what the work needs to know: an object, or @FILE with one")
    parser.add_argument("--priority", choices=("P0", "P1", "P2", "P3"), help="how pressing it is (default: P2)")
    parser.add_argument("--source", help="where the wish came from, such as github or ops (default: user)")
    parser.add_argument("--sla", type=positive, metavar="SECONDS", help="promised within so many seconds; being late stops nothing")
    parser.add_argument("--metadata", metavar="JSON|@FILE", help="what else is to be kept with it")
    parser.add_argument("--parent", metavar="ID", help="the task that it is a part of")
    parser.add_argument("--trace", metavar="ID", help="the trace that it belongs to")
    add_terms(parser)
    parser.add_argument("--idempotency-key", metavar="KEY", default="", help="the same key again is the same task: safe to repeat for 24 h")
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    answer = asyncio.run(_create(args, body(args)))
    if args.json:
        print_json(answer)
        return OK
    _say(answer, same_door(args))
    return OK


def body(args: argparse.Namespace) -> Object:
    """What is sent. Raises Invalid."""
    metadata = json_object("--metadata", args.metadata) if args.metadata else None
    said: Object = {"priority": args.priority, "source": args.source, "sla_target": args.sla, "metadata": metadata}
    said |= {"parent_task_id": args.parent, "trace_id": args.trace}
    needed: Object = {"type": args.type, "payload": json_object("--payload", args.payload)}
    return needed | {name: value for name, value in said.items() if value is not None} | terms(args)


async def _create(args: argparse.Namespace, wish: Object) -> Object:
    async with opened(args) as door:
        return await Orchestrator(door, forge_token()).create(wish, args.idempotency_key)


def _say(answer: Object, there: str) -> None:
    """The id alone on the first line, as `run` does; `there` leads what is suggested to the same gateway."""
    task, approval = one_line(str(answer.get("task_id", ""))), answer.get("approval_id")
    lines = [task, one_line(str(answer.get("message", "")))]
    if approval:
        lines.append(f"It waits for approval: {program()} approve {one_line(str(approval))}{there}")
    out().print("\n".join((*lines, f"Follow it: {program()} watch {task}{there}")), markup=False, soft_wrap=True)
