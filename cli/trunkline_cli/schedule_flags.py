"""What the commands about one schedule have in common: which one is meant, and when it is due."""

from __future__ import annotations

import argparse

from trunkline_cli.orchestrator import Object
from trunkline_cli.task_flags import seconds


def add_schedule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("schedule", metavar="ID", help="as `trunkline schedules` lists it")


def add_when(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """`needed`: something has to be said."""
    either = parser.add_mutually_exclusive_group(required=needed)
    either.add_argument("--cron", metavar="'M H D MON DOW'", help="minute, hour, day of the month, month, day of the week: '0 6 * * 1-5'")
    either.add_argument("--every", metavar="SPAN", help="90s, 15m, 2h, 1d, counted from when it was made; a minute at least")
    parser.add_argument("--zone", metavar="NAME", help="the time zone of --cron, such as Europe/Berlin (default of a new one: UTC)")
    text = "what becomes of moments at which nothing ran here: no task, or one for all of them (default of a new one: skip)"
    parser.add_argument("--missed", choices=("skip", "once"), help=text)


def when(args: argparse.Namespace) -> Object:
    """What is sent of it. Raises Invalid."""
    every = seconds("--every", args.every) if args.every else None
    said: Object = {"cron": args.cron, "time_zone": args.zone, "every": every, "missed": args.missed}
    return {name: value for name, value in said.items() if value is not None}
