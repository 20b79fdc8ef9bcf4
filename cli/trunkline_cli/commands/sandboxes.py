"""Lists the named sandboxes: whose they are, how they stand, what is left of their lives, and what they used."""

from __future__ import annotations

import argparse

from trunkline.runtime.clock import now
from trunkline_cli import tables
from trunkline_cli.asking import add_json, asked
from trunkline_cli.console import OK, err, out, print_json, program
from trunkline_cli.paging import add_page, most
from trunkline_cli.sandboxes import SANDBOXES, Sandboxes, SandboxList, sandbox_row


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "`sandboxes create USER` makes one, or gets that of the user; `show`, `start`, `stop` and `delete` take its id."
    parser.add_argument("--user", metavar="USER", help="only those of this user")
    parser.add_argument("--status", choices=("creating", "ready", "stopped", "error"), help="only those that stand so")
    parser.add_argument("--label", metavar="NAME=VALUE", help="only those with this label")
    add_page(parser, 50)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Unavailable."""
    query = {name: text for name, text in (("userId", args.user), ("status", args.status), ("label", args.label)) if text}
    answer = asked(args, Sandboxes, lambda sandboxes: sandboxes.all(query, most(args)))
    if args.json:
        print_json(answer)
        return OK
    page = SandboxList.model_validate(answer)
    if not page.sandboxes:
        wish = "No sandbox is like that. Leave a filter out to see more." if query else f"There is no sandbox yet. {_made()}"
        err().print(wish, markup=False)
        return OK
    at = now()
    tables.show(SANDBOXES, (sandbox_row(each, at) for each in page.sandboxes), out())
    if page.next:
        err().print(f"{len(page.sandboxes)} of {page.total} shown; --limit N shows more, --all shows all.", markup=False)
    return OK


def _made() -> str:
    return f"`{program()} sandboxes create USER` makes one."
