"""Changes a webhook: where it is told, of what, or whether at all; what is not named stays."""

from __future__ import annotations

import argparse

from trunkline.contracts.errors import Invalid
from trunkline_cli.asking import add_json, asked, done
from trunkline_cli.orchestrator import Object
from trunkline_cli.webhook_flags import add_webhook
from trunkline_cli.webhooks import Webhooks


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Another address, and one that is enabled again, has to answer the handshake first."
    add_webhook(parser)
    parser.add_argument("--to", metavar="URL", help="another address, https")
    parser.add_argument("--events", metavar="EVENTS", help="other events, with commas between them")
    parser.add_argument("--description", metavar="TEXT", help="what it is for")
    switch = parser.add_mutually_exclusive_group()
    switch.add_argument("--enable", action="store_const", const=True, dest="enabled", help="tell it again what happens")
    switch.add_argument("--disable", action="store_const", const=False, dest="enabled", help="tell it nothing until it is enabled again")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Invalid, Unavailable."""
    events: Object = {"events": [event.strip() for event in args.events.split(",")]} if args.events is not None else {}
    said = {"url": args.to, "description": args.description, "enabled": args.enabled}
    body: Object = {**events, **{name: value for name, value in said.items() if value is not None}}
    if not body:
        raise Invalid("Say what is to be otherwise: --to, --events, --description, --enable or --disable.")
    return done(args, asked(args, Webhooks, lambda webhooks: webhooks.change(args.webhook, body)))
