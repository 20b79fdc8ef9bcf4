"""Lists the schedules of the tenant: what is made of each, and when it is due next."""

from __future__ import annotations

import argparse

from trunkline.runtime.clock import now
from trunkline_cli import tables
from trunkline_cli.asking import add_json, asked
from trunkline_cli.console import OK, err, out, print_json, program
from trunkline_cli.schedules import SCHEDULES, ScheduleList, Schedules, schedule_row


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "`schedules create` makes one; `show`, `change`, `pause`, `resume` and `delete` take its id."
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Unavailable."""
    answer = asked(args, Schedules, lambda schedules: schedules.all())
    if args.json:
        print_json(answer)
        return OK
    found = ScheduleList.model_validate(answer).schedules
    if not found:
        err().print(f"There is no schedule yet. `{program()} schedules create` makes one.", markup=False)
        return OK
    at = now()
    tables.show(SCHEDULES, (schedule_row(each, at) for each in found), out())
    return OK
