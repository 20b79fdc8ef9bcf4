"""Flags of a list: how much of it, and what is said of the rest."""

from __future__ import annotations

import argparse
from typing import Final

from trunkline_cli.console import err
from trunkline_cli.shapes import Page

EVERY: Final = 1_000_000


def add_page(parser: argparse.ArgumentParser, default: int) -> None:
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--limit", type=positive, default=default, metavar="N", help="at most so many (default: %(default)s)")
    size.add_argument("--all", action="store_true", help="all of them, in as many requests as that takes")


def most(args: argparse.Namespace) -> int:
    return EVERY if args.all else int(args.limit)


def positive(text: str) -> int:
    """A number of things. Raises ValueError, which argparse says."""
    number = int(text)
    if not 1 <= number <= EVERY:
        raise argparse.ArgumentTypeError(f"must be between 1 and {EVERY}")
    return number


def say_rest(shown: int, page: Page) -> None:
    """Beside the output, so that it is no row of it."""
    if page.next_cursor:
        total = f" of {page.total}" if page.total else ""
        err().print(f"{shown}{total} shown; --limit N shows more, --all shows all.", markup=False)
