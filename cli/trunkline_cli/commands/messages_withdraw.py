"""Withdraws a message that the agent has not taken yet."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import asked, done
from trunkline_cli.messaging import add_message
from trunkline_cli.orchestrator import Orchestrator


def configure(parser: argparse.ArgumentParser) -> None:
    add_message(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Conflict, Unavailable."""
    return done(args, asked(args, Orchestrator, lambda orchestrator: orchestrator.withdraw(args.task, args.message)))
