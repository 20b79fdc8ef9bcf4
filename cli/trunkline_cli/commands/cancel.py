"""Stops a task wherever it stands; its agent is gone within two seconds."""

from __future__ import annotations

import argparse
import asyncio

from trunkline.contracts.errors import Conflict
from trunkline_cli.api import State, add_url, connected
from trunkline_cli.console import FAILED, OK


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="the id that `trunkline run` printed")
    parser.add_argument("--reason", default="", help="kept on the timeline")
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    over = asyncio.run(_cancel(args.url, args.task, args.reason))
    if over:
        print(f"{args.task} is over already: it {_outcome(over)}. Nothing of it is left to stop.")
        return FAILED
    print(f"{args.task} is being stopped. `trunkline watch {args.task}` shows its end.")
    return OK


async def _cancel(url: str, task: str, reason: str) -> State | None:
    """How it ended, if it was over before anybody could stop it."""
    async with connected(url) as api:
        before = await api.state(task)
        if before.over:
            return before
        try:
            await api.cancel(task, reason)
        except Conflict:  # it ended between the two questions
            return await api.state(task)
    return None


def _outcome(state: State) -> str:
    if state.errorCode == "CANCELLED":
        return "was cancelled"
    return "succeeded" if state.status == "success" else "failed"
