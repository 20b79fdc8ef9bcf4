"""Follows a task from its first event to its last; exit code 0 when it succeeds, 1 when it fails."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.api import Api, add_url, connected
from trunkline_cli.console import FAILED, OK, out
from trunkline_cli.timeline import show


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="the id that `trunkline run` printed")
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_watch(args.url, args.task))


async def _watch(url: str, task: str) -> int:
    async with connected(url) as api:
        return await follow(api, task)


async def follow(api: Api, task: str) -> int:
    """Print the timeline; the exit code that goes with its end."""
    events = await show(api.follow(task), out())
    return OK if events and events[-1].type == "result" else FAILED
