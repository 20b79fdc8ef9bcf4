"""Shows a task once more at its own pace, so many times as fast, from its first event or from one of them; exit codes as `watch`."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.door import add_gateway, opened
from trunkline_cli.watching import Pace, watch


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="ID", help="as `trunkline run` and `trunkline tasks` print it")
    parser.add_argument("--speed", default="1", metavar="N", help="so many times as fast as it happened, 0.1 to 100 (default: 1)")
    parser.add_argument(
        "--from", dest="first", default="", metavar="EVENT", help="the id of the event to begin with (`watch --json` tells them)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document a line, one for each event, as the gateway says it")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_replay(args))


async def _replay(args: argparse.Namespace) -> int:
    async with opened(args) as door:
        return await watch(door, args.task, args.json, Pace(args.speed, args.first))
