"""Lists what was given up on: failed tasks, triggers that began nothing, webhooks that nobody took, messages that no handler could take."""

from __future__ import annotations

import argparse

from trunkline.runtime.clock import now
from trunkline_cli import tables
from trunkline_cli.asking import add_json, asked
from trunkline_cli.console import OK, err, out, print_json
from trunkline_cli.letters import LETTERS, STATES, LetterList, Letters, add_filters, filters, letter_row
from trunkline_cli.paging import add_page, most, say_rest


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "`letters show ID` shows one whole; `letters requeue` has it tried once more, `letters discard` puts it aside."
    add_filters(parser)
    parser.add_argument("--state", choices=(*STATES, "any"), default="open", help="only those that stand so (default: %(default)s)")
    add_page(parser, 50)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Denied, Unavailable."""
    query = {**filters(args), **({"state": args.state} if args.state != "any" else {})}
    answer = asked(args, Letters, lambda letters: letters.all(query, most(args)))
    if args.json:
        print_json(answer)
        return OK
    page = LetterList.model_validate(answer)
    if not page.letters:
        err().print(
            "There is no such letter: whatever was given up on, somebody dealt with it." if args.state == "open" else "None stands so."
        )
        return OK
    at = now()
    tables.show(LETTERS, (letter_row(each, at) for each in page.letters), out())
    say_rest(len(page.letters), page)
    return OK
