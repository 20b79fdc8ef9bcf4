"""Stops a task wherever it stands; its agent is gone within two seconds."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.api import add_url, connected
from trunkline_cli.console import OK


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="the id that `trunkline run` printed")
    parser.add_argument("--reason", default="", help="kept on the timeline")
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    asyncio.run(_cancel(args.url, args.task, args.reason))
    print(f"{args.task} is being stopped. `trunkline watch {args.task}` shows its end.")
    return OK


async def _cancel(url: str, task: str, reason: str) -> None:
    async with connected(url) as api:
        await api.cancel(task, reason)
