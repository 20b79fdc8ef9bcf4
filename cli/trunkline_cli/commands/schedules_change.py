"""Changes when a schedule is due, or what its tasks are; what is not named stays. Its tasks are then those of whoever changed it."""

from __future__ import annotations

import argparse

from trunkline.contracts.errors import Invalid
from trunkline_cli.asking import add_json, asked, done
from trunkline_cli.orchestrator import Object
from trunkline_cli.schedule_flags import add_schedule, add_when, when
from trunkline_cli.schedules import Schedules
from trunkline_cli.task_flags import add_task, task_body


def configure(parser: argparse.ArgumentParser) -> None:
    add_schedule(parser)
    add_when(parser, needed=False)
    parser.epilog = "A task is changed as a whole: --type and --payload, and with them whatever else it is to have."
    add_task(parser, needed=False)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Invalid, Unavailable."""
    body: Object = when(args) | ({"task": task_body(args)} if _names_task(args) else {})
    return done(args, asked(args, Schedules, lambda schedules: schedules.change(args.schedule, body)))


def _names_task(args: argparse.Namespace) -> bool:
    """Raises Invalid for a part of a task."""
    parts = (args.priority, args.source, args.sla, args.metadata, args.ask, args.deny, args.budget_usd)
    if args.type and args.payload:
        return True
    if args.type or args.payload or any(parts):
        raise Invalid("A task is changed as a whole: name --type and --payload too.")
    return False
