"""Sends again what was sent to a webhook: one DELIVERY, or all that were given up."""

from __future__ import annotations

import argparse

from trunkline.contracts.errors import Invalid
from trunkline_cli.asking import add_json, asked, done
from trunkline_cli.orchestrator import Object
from trunkline_cli.webhook_flags import add_webhook
from trunkline_cli.webhooks import Webhooks


def configure(parser: argparse.ArgumentParser) -> None:
    add_webhook(parser)
    parser.add_argument("delivery", nargs="?", default="", metavar="DELIVERY", help="this one alone")
    parser.add_argument("--since", metavar="TIME", help="only those that were made since then, such as 2025-10-22T06:00:00Z")
    parser.add_argument("--status", choices=("delivered", "dead", "cancelled"), help="those that stand so (default: dead)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Conflict, Invalid, Unavailable."""
    said = {"since": args.since, "status": args.status}
    body: Object = {name: value for name, value in said.items() if value}
    if args.delivery and body:
        raise Invalid("--since and --status choose among all deliveries; one that is named is sent again as it is.")
    if args.delivery:
        return done(args, asked(args, Webhooks, lambda webhooks: webhooks.redeliver(args.webhook, args.delivery)))
    return done(args, asked(args, Webhooks, lambda webhooks: webhooks.redeliver_many(args.webhook, body)))
