"""What the commands about schedules have in common: their flags, the asking, and the answer."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable

from trunkline_cli.console import OK, out, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.messaging import told
from trunkline_cli.orchestrator import Object
from trunkline_cli.schedules import Schedules


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def add_schedule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("schedule", metavar="ID", help="as `trunkline schedules` lists it")


def asked(args: argparse.Namespace, act: Callable[[Schedules], Awaitable[Object]]) -> Object:
    """The answer to one thing. Raises what the gateway refused, or Unavailable."""

    async def ask() -> Object:
        async with opened(args) as door:
            return await act(Schedules(door))

    return asyncio.run(ask())


def done(args: argparse.Namespace, answer: Object) -> int:
    """Say what came of it."""
    if args.json:
        print_json(answer)
    else:
        out().print(told(answer), markup=False)
    return OK
