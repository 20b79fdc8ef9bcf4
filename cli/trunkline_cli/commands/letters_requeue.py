"""Has what was given up on tried once more: a task as another task, a webhook, a timer or a fact as itself."""

from __future__ import annotations

import argparse

from trunkline.contracts.errors import Invalid
from trunkline_cli import tables
from trunkline_cli.asking import add_json, asked, done
from trunkline_cli.console import FAILED, OK, err, out, print_json
from trunkline_cli.letters import MOST_AT_ONCE, Letters, LettersDone, add_filters, check, filters, read_edit
from trunkline_cli.orchestrator import Object
from trunkline_cli.paging import positive


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("letters", nargs="*", metavar="ID", help="as `trunkline letters` lists them")
    parser.add_argument("--all", action="store_true", help="all that are open, of one --kind")
    add_filters(parser)
    parser.add_argument("--limit", type=positive, default=MOST_AT_ONCE, metavar="N", help="of --all at most so many (default: %(default)s)")
    text = 'a file with what is to be otherwise, of each the same, or - for the standard input, such as {"priority": "P1"}'
    parser.add_argument("--edit", metavar="FILE", help=text)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Conflict, Invalid, Unavailable."""
    letters = check(args.letters)
    if bool(letters) is args.all or (args.all and not args.kind):
        raise Invalid("Name the letters, or say --all and of which --kind.")
    body: Object = {"edit": read_edit(args.edit)} if args.edit else {}
    if len(letters) == 1:
        return done(args, asked(args, Letters, lambda desk: desk.requeue(letters[0], body)))
    which: Object = {**filters(args), "limit": min(args.limit, MOST_AT_ONCE)} if args.all else {"ids": [*letters]}
    return _told(args, asked(args, Letters, lambda desk: desk.requeue_many(which | body)))


def _told(args: argparse.Namespace, answer: Object) -> int:
    """What came of each, a line each; beside it how many."""
    said = LettersDone.model_validate(answer)
    if args.json:
        print_json(answer)
    else:
        tables.show_exactly({each.letter_id: each.made or each.detail or "requeued" for each in said.results}, out())
        err().print(said.message, markup=False)
    return FAILED if said.failed else OK
