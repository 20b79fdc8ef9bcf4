"""Stops a task wherever it stands; its agent is gone within two seconds."""

from __future__ import annotations

import argparse
import asyncio
from typing import Final

from trunkline.contracts.errors import Conflict
from trunkline_cli.api import Api, State
from trunkline_cli.console import FAILED, OK, print_json
from trunkline_cli.door import Door, add_gateway, opened
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.shapes import OVER, TaskShown

STOPPING: Final = "stopping"
TOLD: Final = {"completed": "succeeded", "failed": "failed", "cancelled": "was cancelled"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="ID", help="as `trunkline run` and `trunkline tasks` print it")
    parser.add_argument("--reason", default="", help="kept on the timeline")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    stands = asyncio.run(_cancel(args))
    over = stands in OVER
    if args.json:
        print_json({"task": args.task, "success": not over, "status": stands})
    elif over:
        print(f"{args.task} is over already: it {TOLD[stands]}. Nothing of it is left to stop.")
    else:
        print(f"{args.task} is being stopped. `trunkline watch {args.task}` shows its end.")
    return FAILED if over else OK


async def _cancel(args: argparse.Namespace) -> str:
    """How it ended, if it was over before anybody could stop it; else `stopping`."""
    async with opened(args) as door:
        return await (_task if args.task.startswith("task_") else _job)(door, args.task, args.reason)


async def _task(door: Door, task: str, reason: str) -> str:
    orchestrator = Orchestrator(door)
    before = _status(await orchestrator.task(task))
    if before in OVER:
        return before
    try:
        await orchestrator.cancel(task, reason)
    except Conflict:  # it ended between the two questions
        return _status(await orchestrator.task(task))
    return STOPPING


async def _job(door: Door, job: str, reason: str) -> str:
    before = await Api(door).state(job)
    if before.over:
        return _outcome(before)
    try:
        await Api(door).cancel(job, reason)
    except Conflict:  # it ended between the two questions
        return _outcome(await Api(door).state(job))
    return STOPPING


def _status(answer: Object) -> str:
    return TaskShown.model_validate(answer.get("task")).status


def _outcome(state: State) -> str:
    if state.errorCode == "CANCELLED":
        return "cancelled"
    return "completed" if state.status == "success" else "failed"
