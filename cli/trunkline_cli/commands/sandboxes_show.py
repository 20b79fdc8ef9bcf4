"""Shows one named sandbox in full: what it was made of, what is left of its life, and what is wrong with it."""

from __future__ import annotations

import argparse

from trunkline.runtime.clock import now
from trunkline_cli import tables
from trunkline_cli.asking import add_json, asked
from trunkline_cli.console import OK, out, print_json
from trunkline_cli.sandbox_flags import add_sandbox
from trunkline_cli.sandboxes import Sandboxes, in_full


def configure(parser: argparse.ArgumentParser) -> None:
    add_sandbox(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Unavailable."""
    found = asked(args, Sandboxes, lambda sandboxes: sandboxes.one(args.sandbox))
    if args.json:
        print_json(found)
    else:
        tables.show_one(in_full(found, now()), out())
    return OK
