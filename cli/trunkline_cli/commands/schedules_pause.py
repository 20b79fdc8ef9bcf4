"""Pauses a schedule; moments that pass meanwhile are never made up for."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import add_json, asked, done
from trunkline_cli.schedule_flags import add_schedule
from trunkline_cli.schedules import Schedules


def configure(parser: argparse.ArgumentParser) -> None:
    add_schedule(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Unavailable."""
    return done(args, asked(args, Schedules, lambda schedules: schedules.pause(args.schedule, paused=True)))
