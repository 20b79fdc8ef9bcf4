"""Lists what was sent to a webhook, the newest first, and what became of it."""

from __future__ import annotations

import argparse

from trunkline.runtime.clock import now
from trunkline_cli import tables
from trunkline_cli.asking import add_json, asked
from trunkline_cli.console import OK, err, out, print_json
from trunkline_cli.paging import add_page, most, say_rest
from trunkline_cli.webhook_flags import add_webhook
from trunkline_cli.webhooks import DELIVERIES, DeliveryPage, Webhooks, delivery_row


def configure(parser: argparse.ArgumentParser) -> None:
    add_webhook(parser)
    parser.add_argument(
        "--status", choices=("pending", "retrying", "delivered", "dead", "cancelled"), help="only these; dead ones are not tried again"
    )
    add_page(parser, 50)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Unavailable."""
    query = {"status": args.status} if args.status else {}
    answer = asked(args, Webhooks, lambda webhooks: webhooks.deliveries(args.webhook, query, most(args)))
    if args.json:
        print_json(answer)
        return OK
    page = DeliveryPage.model_validate(answer)
    if not page.deliveries:
        err().print("Nothing like that was sent to it.")
        return OK
    at = now()
    tables.show(DELIVERIES, (delivery_row(each, at) for each in page.deliveries), out())
    say_rest(len(page.deliveries), page)
    return OK
