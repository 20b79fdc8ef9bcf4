"""Moves a message within those that wait: `trunkline messages move TASK MESSAGE first`."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.console import OK, out, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.messaging import QueueShown, moved, told
from trunkline_cli.orchestrator import Object, Orchestrator


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", help="as `trunkline run` and `trunkline tasks` print it")
    parser.add_argument("message", metavar="MESSAGE", help="as `trunkline messages` lists it")
    parser.add_argument("place", metavar="first|last|N", help="where it is to stand; 1 is taken next")
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Conflict, Invalid, Unavailable."""
    answer = asyncio.run(_ask(args))
    if args.json:
        print_json(answer)
    else:
        out().print(told(answer), markup=False)
    return OK


async def _ask(args: argparse.Namespace) -> Object:
    async with opened(args) as door:
        orchestrator = Orchestrator(door)
        queue = QueueShown.model_validate(await orchestrator.messages(args.task))
        return await orchestrator.order(args.task, moved(queue, args.message, args.place))
