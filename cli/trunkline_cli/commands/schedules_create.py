"""Makes a schedule: a task of a type, again and again, by cron in a time zone or every so often."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import add_json, asked, told
from trunkline_cli.console import OK, err, out, print_json
from trunkline_cli.orchestrator import Object
from trunkline_cli.plain import one_line
from trunkline_cli.schedule_flags import add_when, when
from trunkline_cli.schedules import Schedules
from trunkline_cli.task_flags import add_task, task_body


def configure(parser: argparse.ArgumentParser) -> None:
    add_when(parser)
    add_task(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Invalid, Conflict, Unavailable."""
    body: Object = {"task": task_body(args), **when(args)}
    answer = asked(args, Schedules, lambda schedules: schedules.create(body))
    if args.json:
        print_json(answer)
        return OK
    out().print(one_line(str(answer.get("schedule_id", ""))), markup=False)
    err().print(told(answer), markup=False)
    return OK
