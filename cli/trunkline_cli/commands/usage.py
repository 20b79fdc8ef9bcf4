"""Shows what the models were asked and what that cost, day by day; with an ID what the models of that task cost so far."""

from __future__ import annotations

import argparse
import asyncio
from typing import Final

from trunkline.contracts.errors import Invalid
from trunkline_cli.console import OK, err, out, print_json
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.shapes import TaskSpent, UsageList, Used
from trunkline_cli.tables import Cell, Column, Room, Row, show

COLUMNS: Final = (
    Column("day"), Column("model"), Column("requests", Room.WIDE), Column("input"), Column("cached", Room.WIDE), Column("output"),
    Column("US$"),
)  # fmt: skip
_UNKNOWN: Final = "?"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", nargs="?", default="", metavar="ID", help="only of this task, and of how much")
    parser.add_argument("--since", metavar="DAY", help="the first day (UTC), such as 2025-10-22 (default: 29 days before the last)")
    parser.add_argument("--until", metavar="DAY", help="the last day (default: today)")
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Invalid, NotFound."""
    if args.task and (args.since or args.until):
        raise Invalid("--since and --until are about days; a task is shown from its beginning.")
    answer = asyncio.run(_ask(args))
    if args.json:
        print_json(answer)
    elif args.task:
        print(TaskSpent.model_validate(answer.get("task")).spent.told)
    else:
        _show(UsageList.model_validate(answer))
    return OK


async def _ask(args: argparse.Namespace) -> Object:
    said = {"since": args.since, "until": args.until}
    async with opened(args) as door:
        if args.task:
            return await Orchestrator(door).task(args.task)
        return await Orchestrator(door).usage({name: value for name, value in said.items() if value})


def _show(found: UsageList) -> None:
    if not found.usage:
        err().print("No model was asked anything in that time.")
        return
    show(COLUMNS, (_row(used) for used in found.usage), out())
    err().print(f"US$ {found.cost_usd:,.4f} in all" + (", without what has no known price." if _unpriced(found) else "."))


def _unpriced(found: UsageList) -> bool:
    return any(used.cost_usd is None for used in found.usage)


def _row(used: Used) -> Row:
    cost = _UNKNOWN if used.cost_usd is None else f"{used.cost_usd:.6f}"
    counts = (used.requests, used.input_tokens, used.cached_tokens, used.output_tokens)
    numbers = (Cell(str(count), f"{count:,}") for count in counts)
    return (Cell(used.day), Cell(used.model or _UNKNOWN), *numbers, Cell(cost, f"~{cost}" if used.estimated else ""))
