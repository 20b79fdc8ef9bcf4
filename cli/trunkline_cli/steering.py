"""Interrupting, pausing and resuming from the command line: the flags, the asking, and what is said of it."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import add_json, asked, done
from trunkline_cli.orchestrator import Orchestrator


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", help="as `trunkline run` and `trunkline tasks` print it")
    add_json(parser)


def steer(args: argparse.Namespace, verb: str) -> int:
    """`verb` is interrupt, pause or resume. Raises NotFound, Conflict, Unavailable."""
    return done(args, asked(args, Orchestrator, lambda orchestrator: orchestrator.steer(args.task, verb)))
