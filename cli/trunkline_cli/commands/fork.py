"""Begins another task from one that is over, as it was at an event: `trunkline fork TASK --from EVENT "do it another way"`."""

from __future__ import annotations

import argparse

from trunkline_cli import going_on


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="event", metavar="EVENT", default="", help="an event id of the task (default: its end)")
    going_on.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    return going_on.go_on(args, lambda surface, body: surface.fork(args.task, body, args.event))
