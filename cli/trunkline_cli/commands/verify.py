"""Compares the log with the books of its witnesses, and says what was changed, taken away or cut off; exit code 1 when anything was."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from rich.markup import escape

from trunkline_cli import sources
from trunkline_cli.console import FAILED, OK, err, out, print_json
from trunkline_cli.settings import StackSettings
from trunkline_cli.verifying import Verdict, Wish, books_in, put_away, verified


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--books", type=Path, metavar="DIR", help="where the books are (default: `audit` in the data directory)")
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="trust this key (PEM) and not the one that lies beside a book")
    parser.add_argument("--copy", type=Path, metavar="FILE", help="what `audit_copy_file` names: each checkpoint in it must be in a book")
    parser.add_argument("--accept", metavar="REASON", help="put the books aside, with what was found and why, so that new ones begin")
    parser.add_argument("--json", action="store_true", help="print JSON")
    sources.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    stack = sources.read(args)[0].load(StackSettings).settings
    books = books_in(args.books or stack.root() / "audit")
    verdicts = asyncio.run(verified(stack, books, Wish(args.public_key, args.copy, sys.stderr.isatty())))
    if args.json:
        print_json([verdict.told() for verdict in verdicts])
    else:
        for verdict in verdicts:
            _print(verdict)
    if args.accept:
        place = put_away(stack, books, verdicts, args.accept)
        err().print(f"The books are in {escape(str(place))}; the next start begins new ones.")
        return OK
    return OK if all(verdict.whole for verdict in verdicts) else FAILED


def _print(verdict: Verdict) -> None:
    console = out()
    mark = "[green]whole[/]" if verdict.whole else "[bold red]broken[/]"
    console.print(f"[bold]{escape(verdict.book)}[/]  {mark}  {escape(verdict.sentence())}")
    for finding in verdict.findings:
        console.print(f"  [red]-[/] {escape(str(finding))}")
