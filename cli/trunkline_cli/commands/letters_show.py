"""Shows one dead letter whole: what it was, why it was given up on, and what somebody did about it."""

from __future__ import annotations

import argparse

from trunkline_cli import tables
from trunkline_cli.asking import add_json, asked
from trunkline_cli.console import OK, out, print_json
from trunkline_cli.letters import Letters, check


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("letter", metavar="ID", help="as `trunkline letters` lists it")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Unavailable."""
    (letter,) = check([args.letter])
    answer = asked(args, Letters, lambda letters: letters.one(letter))
    if args.json:
        print_json(answer)
        return OK
    found = answer.get("letter")
    shown = {name: value for name, value in found.items() if value not in (None, "", [], {})} if isinstance(found, dict) else {}
    tables.show_exactly(shown, out())
    return OK
