"""Shows one schedule in full."""

from __future__ import annotations

import argparse

from trunkline_cli import tables
from trunkline_cli.asking import add_json, asked
from trunkline_cli.console import OK, out, print_json
from trunkline_cli.schedule_flags import add_schedule
from trunkline_cli.schedules import Schedules


def configure(parser: argparse.ArgumentParser) -> None:
    add_schedule(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Unavailable."""
    answer = asked(args, Schedules, lambda schedules: schedules.one(args.schedule))
    if args.json:
        print_json(answer)
        return OK
    found = answer.get("schedule")
    tables.show_one(dict(found) if isinstance(found, dict) else {}, out())
    return OK
