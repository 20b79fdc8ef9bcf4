"""Changes a message that the agent has not taken yet."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import asked, done
from trunkline_cli.messaging import add_message, text_of
from trunkline_cli.orchestrator import Orchestrator


def configure(parser: argparse.ArgumentParser) -> None:
    add_message(parser)
    parser.add_argument("text", metavar="TEXT|-", help="what it is to say instead; - takes it from standard input")


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Conflict, Invalid, Unavailable."""
    text = text_of(args.text)
    return done(args, asked(args, Orchestrator, lambda orchestrator: orchestrator.edit(args.task, args.message, text)))
