"""Compares the log with the books of its witnesses: exit code 1 when anything was changed or taken away, or nobody signed for any of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from rich.markup import escape

from trunkline.auth.audit_keys import witness_in
from trunkline.contracts.errors import Invalid
from trunkline_cli import sources
from trunkline_cli.console import FAILED, OK, err, out, print_json
from trunkline_cli.settings import StackSettings
from trunkline_cli.verifying import Verdict, Wish, books_in, own_key, put_away, verified
from trunkline_cli.verifying_archive import archive_compared
from trunkline_relay.adapters.audit_book import KEY
from trunkline_relay.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--books", type=Path, metavar="DIR", help="where the books are (default: `audit` in the data directory)")
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="trust this key (PEM) and none that lies here")
    parser.add_argument("--copy", type=Path, metavar="FILE", help="each checkpoint in it must be in a book (default: `audit_copy_file`)")
    parser.add_argument("--archive", type=Path, metavar="FILE", help="of `trunkline replay --out`: compare it, and no log, with the books")
    parser.add_argument("--accept", metavar="REASON", help="put the books aside, with what was found and why, so that new ones begin")
    parser.add_argument("--json", action="store_true", help="print JSON")
    sources.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Invalid, NotFound, Conflict, Unavailable."""
    if args.archive and args.accept:
        raise Invalid("--accept is about a log, and --archive looks at none", code="BAD_SELECTION")
    found = sources.read(args)[0]
    stack, relay = found.load(StackSettings).settings, found.load(Settings).settings
    books = books_in(args.books or stack.root() / "audit")
    ours = None if args.books else own_key(relay.audit_key_file or stack.root() / KEY)
    copy = args.copy or (None if args.books else relay.audit_copy_file)
    wish = Wish(witness_in(args.public_key) if args.public_key else ours, copy, not args.json and sys.stderr.isatty())
    verdicts = archive_compared(args.archive, books, wish) if args.archive else asyncio.run(verified(stack, books, wish))
    if args.json:
        print_json([verdict.told() for verdict in verdicts])
    else:
        for verdict in verdicts:
            _print(verdict)
    if args.accept:
        place = put_away(stack, books, copy, verdicts, args.accept)
        err().print(f"The books are in {escape(str(place))}; the next start begins new ones.")
        return OK
    return OK if all(verdict.whole for verdict in verdicts) else FAILED


def _print(verdict: Verdict) -> None:
    console = out()
    mark = "[green]whole[/]" if verdict.whole else "[yellow]unsigned[/]" if verdict.unsigned else "[bold red]broken[/]"
    console.print(f"[bold]{escape(verdict.book)}[/]  {mark}  {escape(verdict.sentence())}")
    for finding in verdict.findings:
        console.print(f"  [red]-[/] {escape(str(finding))}")
