"""Sends a message to the agent of a running task: `trunkline send TASK "use tabs"`."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.asking import told
from trunkline_cli.console import OK, out, print_json, program
from trunkline_cli.door import add_gateway, opened, same_door
from trunkline_cli.messaging import text_of
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.plain import one_line


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", help="as `trunkline run` and `trunkline tasks` print it")
    parser.add_argument("text", metavar="TEXT|-", help="what the agent is to be told; - takes it from standard input")
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    """The id alone on the first line. Raises NotFound, Conflict, Invalid, Unavailable."""
    answer = asyncio.run(_send(args, text_of(args.text)))
    if args.json:
        print_json(answer)
        return OK
    message = one_line(str(answer.get("message_id", "")))
    follow = f"It may be changed until the agent takes it: {program()} messages {one_line(args.task)}{same_door(args)}"
    out().print(f"{message}\n{told(answer)}. {follow}", markup=False)
    return OK


async def _send(args: argparse.Namespace, text: str) -> Object:
    async with opened(args) as door:
        return await Orchestrator(door).say(args.task, text)
