"""Submits a task of a type, for the agents that its type belongs to; `trunkline run` submits one on a repository."""

from __future__ import annotations

import argparse
import asyncio

from trunkline_cli.console import OK, out, print_json, program
from trunkline_cli.door import add_gateway, opened, same_door
from trunkline_cli.forge_token import forge_token
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.plain import one_line
from trunkline_cli.task_flags import add_task, seconds, task_body


def configure(parser: argparse.ArgumentParser) -> None:
    add_task(parser)
    parser.add_argument("--parent", metavar="ID", help="the task that it is a part of")
    parser.add_argument("--trace", metavar="ID", help="the trace that it belongs to")
    later = parser.add_mutually_exclusive_group()
    later.add_argument("--at", metavar="TIME", help="nobody may take it before: an ISO time such as 2026-03-01T06:00:00Z")
    later.add_argument("--in", dest="delay", metavar="SPAN", help="the same, counted from now: 90s, 15m, 2h, 3d")
    parser.add_argument("--idempotency-key", metavar="KEY", default="", help="the same key again is the same task: safe to repeat for 24 h")
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    answer = asyncio.run(_create(args, body(args)))
    if args.json:
        print_json(answer)
        return OK
    _say(answer, same_door(args))
    return OK


def body(args: argparse.Namespace) -> Object:
    """What is sent. Raises Invalid."""
    delay = seconds("--in", args.delay) if args.delay else None
    return task_body(args, parent_task_id=args.parent, trace_id=args.trace, start_at=args.at, delay=delay)


async def _create(args: argparse.Namespace, wish: Object) -> Object:
    async with opened(args) as door:
        return await Orchestrator(door, forge_token()).create(wish, args.idempotency_key)


def _say(answer: Object, there: str) -> None:
    """The id alone on the first line, as `run` does; `there` leads what is suggested to the same gateway."""
    task, approval = one_line(str(answer.get("task_id", ""))), answer.get("approval_id")
    lines = [task, one_line(str(answer.get("message", "")))]
    if approval:
        lines.append(f"It waits for approval: {program()} approve {one_line(str(approval))}{there}")
    out().print("\n".join((*lines, f"Follow it: {program()} watch {task}{there}")), markup=False, soft_wrap=True)
