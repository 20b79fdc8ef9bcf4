"""Withdraws a message that the agent has not taken yet."""

from __future__ import annotations

import argparse

from trunkline_cli.messaging import add_message, done


def configure(parser: argparse.ArgumentParser) -> None:
    add_message(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Conflict, Unavailable."""
    return done(args, lambda orchestrator: orchestrator.withdraw(args.task, args.message))
