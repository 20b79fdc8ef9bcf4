"""Follows a task from its first event to its last; exit code 0 when it succeeds, 1 when it fails or is cancelled."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.door import add_gateway, opened
from trunkline_cli.watching import watch


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="ID", help="as `trunkline run` and `trunkline tasks` print it")
    parser.add_argument("--json", action="store_true", help="print one JSON document a line, one for each event, as the gateway says it")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_watch(args))


async def _watch(args: argparse.Namespace) -> int:
    async with opened(args) as door:
        return await watch(door, args.task, args.json)
