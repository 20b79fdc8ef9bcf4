"""Makes a schedule: a task of a type, again and again, by cron in a time zone or every so often."""

from __future__ import annotations

import argparse

from trunkline_cli.console import OK, err, out, print_json
from trunkline_cli.messaging import told
from trunkline_cli.orchestrator import Object
from trunkline_cli.plain import one_line
from trunkline_cli.schedule_flags import add_json, asked
from trunkline_cli.task_flags import add_task, seconds, task_body


def configure(parser: argparse.ArgumentParser) -> None:
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="'M H D MON DOW'", help="minute, hour, day of the month, month, day of the week: '0 6 * * 1-5'")
    when.add_argument("--every", metavar="SPAN", help="90s, 15m, 2h, 1d, counted from now; a minute at least")
    parser.add_argument("--zone", metavar="NAME", help="the time zone of --cron, such as Europe/Berlin (default: UTC)")
    text = "what becomes of moments at which nothing ran here: no task, or one for all of them (default: skip)"
    parser.add_argument("--missed", choices=("skip", "once"), help=text)
    add_task(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Invalid, Conflict, Unavailable."""
    every = seconds("--every", args.every) if args.every else None
    said: Object = {"cron": args.cron, "time_zone": args.zone, "every": every, "missed": args.missed}
    body: Object = {"task": task_body(args), **{name: value for name, value in said.items() if value is not None}}
    answer = asked(args, lambda schedules: schedules.create(body))
    if args.json:
        print_json(answer)
        return OK
    out().print(one_line(str(answer.get("schedule_id", ""))), markup=False)
    err().print(told(answer), markup=False)
    return OK
