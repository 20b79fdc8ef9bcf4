"""Puts a dead letter aside: nothing more is to be done about it, and why. It may still be requeued."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import add_json, asked, done
from trunkline_cli.letters import Letters, check


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("letter", metavar="ID", help="as `trunkline letters` lists it")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why, for whoever looks later")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Conflict, Unavailable."""
    (letter,) = check([args.letter])
    return done(args, asked(args, Letters, lambda letters: letters.discard(letter, args.reason)))
