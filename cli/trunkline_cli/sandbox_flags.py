"""What the commands about named sandboxes have in common: which one is meant, and what is said of the answer."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import asked
from trunkline_cli.console import OK, out, print_json
from trunkline_cli.plain import one_line
from trunkline_cli.sandboxes import Sandboxes


def add_sandbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sandbox", metavar="ID", help="as `trunkline sandboxes` lists it")


def tell(args: argparse.Namespace, verb: str) -> int:
    """Tell one sandbox something, and say how it stands then."""
    answer = asked(args, Sandboxes, lambda sandboxes: sandboxes.tell(verb, args.sandbox))
    if args.json:
        print_json(answer)
    else:
        out().print(f"{one_line(str(answer.get('sandboxId', '')))} is {one_line(str(answer.get('status', '')))}.", markup=False)
    return OK
