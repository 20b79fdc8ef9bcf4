"""Going on from a task that is over, from the command line: the flags, and what is said of the new task."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable

from trunkline_cli.console import OK, out, print_json, program
from trunkline_cli.door import add_gateway, opened, same_door
from trunkline_cli.forge_token import forge_token
from trunkline_cli.messaging import text_of
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.plain import one_line
from trunkline_cli.terms import add_terms, terms
from trunkline_cli.watching import watch

Ask = Callable[[Orchestrator, Object], Awaitable[Object]]
"""Of the words that the new task begins with, and what is demanded of it."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", help="as `trunkline run` and `trunkline tasks` print it; it must be over")
    parser.add_argument("text", metavar="TEXT|-", help="what is to be done next; - takes it from standard input")
    add_terms(parser)
    parser.add_argument("--watch", action="store_true", help="follow it to its end; the exit code is then its outcome")
    parser.add_argument("--json", action="store_true", help="print one JSON document; with --watch one a line, the first for the task")
    add_gateway(parser)


def go_on(args: argparse.Namespace, ask: Ask) -> int:
    """Raises NotFound, Conflict, Invalid, Unavailable."""
    return asyncio.run(_go_on(args, ask, {"text": text_of(args.text), **terms(args)}))


async def _go_on(args: argparse.Namespace, ask: Ask, body: Object) -> int:
    async with opened(args) as door:
        answer = await ask(Orchestrator(door, forge_token()), body)
        job = one_line(str(answer.get("task_id", ""))).removeprefix("task_")
        if args.json:
            print_json(answer, line=args.watch)
        else:
            said = f"{job}\n{told(answer)}\nFollow it: {program()} watch {job}{same_door(args)}"
            out().print(job if args.watch else said, markup=False, soft_wrap=True)
        return await watch(door, job, args.json) if args.watch else OK


def told(answer: Object) -> str:
    """What it goes on from, as a sentence. Pure."""
    origin = answer.get("origin")
    found = origin if isinstance(origin, dict) else {}
    where = f"event {one_line(str(found.get('event_id', '')))}"
    what = f"snapshot {one_line(str(found['snapshot']))}" if found.get("snapshot") else "repository as it was cloned"
    talk = "with its conversation" if found.get("conversation") else "with a new conversation"
    return f"It goes on from the {what} ({where}), {talk}."
