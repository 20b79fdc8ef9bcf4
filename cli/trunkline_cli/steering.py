"""Interrupting, pausing and resuming from the command line: the flags, the asking, and what is said of it."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.console import OK, out, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.messaging import told
from trunkline_cli.orchestrator import Object, Orchestrator


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", help="as `trunkline run` and `trunkline tasks` print it")
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def steer(args: argparse.Namespace, verb: str) -> int:
    """`verb` is interrupt, pause or resume. Raises NotFound, Conflict, Unavailable."""
    answer = asyncio.run(_steer(args, verb))
    if args.json:
        print_json(answer)
    else:
        out().print(told(answer), markup=False)
    return OK


async def _steer(args: argparse.Namespace, verb: str) -> Object:
    async with opened(args) as door:
        return await Orchestrator(door).steer(args.task, verb)
