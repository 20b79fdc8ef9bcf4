"""What the commands about named sandboxes have in common: their flags, the asking, and what is said of the answer."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable

from trunkline_cli.console import OK, out, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.orchestrator import Object
from trunkline_cli.plain import one_line
from trunkline_cli.sandboxes import Sandboxes


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def add_sandbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sandbox", metavar="ID", help="as `trunkline sandboxes` lists it")


def asked(args: argparse.Namespace, act: Callable[[Sandboxes], Awaitable[Object]]) -> Object:
    """The answer to one thing. Raises what the gateway refused, or Unavailable."""

    async def ask() -> Object:
        async with opened(args) as door:
            return await act(Sandboxes(door))

    return asyncio.run(ask())


def tell(args: argparse.Namespace, verb: str) -> int:
    """Tell one sandbox something, and say how it stands then."""
    answer = asked(args, lambda sandboxes: sandboxes.tell(verb, args.sandbox))
    if args.json:
        print_json(answer)
    else:
        out().print(f"{one_line(str(answer.get('sandboxId', '')))} is {one_line(str(answer.get('status', '')))}.", markup=False)
    return OK
