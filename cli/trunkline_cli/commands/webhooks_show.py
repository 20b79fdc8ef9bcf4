"""Shows one webhook in full; with a DELIVERY that one: what was sent, and what was answered at each try."""

from __future__ import annotations

import argparse

from trunkline_cli import tables
from trunkline_cli.asking import add_json, asked
from trunkline_cli.console import OK, out, print_json
from trunkline_cli.delivery_shown import lines
from trunkline_cli.webhook_flags import add_webhook
from trunkline_cli.webhooks import Webhooks


def configure(parser: argparse.ArgumentParser) -> None:
    add_webhook(parser)
    parser.add_argument("delivery", nargs="?", default="", metavar="DELIVERY", help="as `trunkline webhooks deliveries ID` lists it")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Unavailable."""
    if args.delivery:
        answer, name = asked(args, Webhooks, lambda webhooks: webhooks.delivery(args.webhook, args.delivery)), "delivery"
    else:
        answer, name = asked(args, Webhooks, lambda webhooks: webhooks.one(args.webhook)), "webhook"
    if args.json:
        print_json(answer)
        return OK
    found = answer.get(name)
    shown = dict(found) if isinstance(found, dict) else {}
    tables.show_one(lines(shown) if args.delivery else shown, out())
    return OK
