"""Lists tasks, the newest first; with an ID it shows that one in full. `trunkline tasks create` submits one."""

from __future__ import annotations

import argparse
import asyncio
from typing import Final

from trunkline.runtime.clock import now
from trunkline_cli import tables
from trunkline_cli.console import OK, err, out, print_json, program
from trunkline_cli.door import add_gateway, opened
from trunkline_cli.orchestrator import Object, Orchestrator
from trunkline_cli.paging import add_page, most, say_rest
from trunkline_cli.shapes import TaskPage

SORTS: Final = {"newest": "-created_at", "oldest": "created_at", "updated": "-updated_at", "priority": "priority"}
FILTERS: Final = {
    "status": ("status", "pending, assigned, in_progress, completed, failed or cancelled"),
    "type": ("type", "the kind of work, such as bugfix"),
    "priority": ("priority", "P0 to P3"),
    "agent": ("assigned_agent", "whose agents do it, such as dev_agent"),
    "source": ("source", "where the wish came from"),
    "parent": ("parent_task_id", "tasks that are parts of this one"),
    "trace": ("trace_id", "tasks of this trace"),
    "by": ("created_by", "who submitted it"),
}
"""Flag: its name in the query, and what it means. The first three take several words with commas between them."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "`trunkline tasks create --help` tells how to submit one."
    parser.add_argument("task", nargs="?", metavar="ID", help="show this one")
    for flag, (_, text) in FILTERS.items():
        parser.add_argument(f"--{flag}", metavar=flag.upper(), help=text)
    parser.add_argument("--sort", choices=tuple(SORTS), default="newest", help="what comes first (default: %(default)s)")
    add_page(parser, 20)
    parser.add_argument("--json", action="store_true", help="print one JSON document, as the gateway answers")
    add_gateway(parser)


def run(args: argparse.Namespace) -> int:
    answer = asyncio.run(_ask(args))
    if args.json:
        print_json(answer)
    elif args.task:
        found = answer.get("task")
        tables.show_one(found if isinstance(found, dict) else answer, out())
    else:
        _show(TaskPage.model_validate(answer), any(getattr(args, flag) for flag in FILTERS))
    return OK


async def _ask(args: argparse.Namespace) -> Object:
    async with opened(args) as door:
        orchestrator = Orchestrator(door)
        return await orchestrator.task(args.task) if args.task else await orchestrator.tasks(query(args), most(args))


def query(args: argparse.Namespace) -> dict[str, str]:
    """What is asked for, as the gateway calls it."""
    said = {name: getattr(args, flag) for flag, (name, _) in FILTERS.items()}
    return {name: value for name, value in said.items() if value} | {"sort": SORTS[args.sort]}


def _show(page: TaskPage, filtered: bool) -> None:
    if page.tasks:
        at = now()
        tables.show(tables.TASKS, (tables.task_row(task, at) for task in page.tasks), out())
        say_rest(len(page.tasks), page)
    elif filtered:
        err().print("No task is like that. Leave a filter out to see more.")
    else:
        err().print(f'There is no task yet. `{program()} run OWNER/REPO "fix the login bug"` submits one.', markup=False)
