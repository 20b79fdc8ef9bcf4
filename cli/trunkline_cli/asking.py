"""One thing asked of a gateway, and what is said of its answer: shared by the commands about letters, schedules, webhooks and the like."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from trunkline_cli.console import OK, out, print_json
from trunkline_cli.door import Door, add_gateway, opened
from trunkline_cli.orchestrator import Object
from trunkline_cli.plain import one_line

D = TypeVar("D")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def asked(args: argparse.Namespace, desk: Callable[[Door], D], act: Callable[[D], Awaitable[Object]]) -> Object:
    """The answer to one thing. Raises what the gateway refused, or Unavailable."""

    async def ask() -> Object:
        async with opened(args) as door:
            return await act(desk(door))

    return asyncio.run(ask())


def done(args: argparse.Namespace, answer: Object) -> int:
    """Say what came of it."""
    if args.json:
        print_json(answer)
    else:
        out().print(told(answer), markup=False)
    return OK


def told(answer: Object) -> str:
    """Pure."""
    return one_line(str(answer.get("message") or "done"))
