"""Makes a webhook: from its handshake on, URL is told what happens; its secret is shown once."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import add_json, asked
from trunkline_cli.orchestrator import Object
from trunkline_cli.webhook_flags import EVENTS, add_secret, secret, told_secret
from trunkline_cli.webhooks import Webhooks


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("receiver", metavar="URL", help="where it is told, https")
    text = (
        "events with commas between them: job.completed, job.failed, approval.requested, approval.decided, task.*, * (default: %(default)s)"
    )
    parser.add_argument("--events", metavar="EVENTS", default=",".join(EVENTS), help=text)
    add_secret(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Invalid, Conflict, Unavailable."""
    body: Object = {"url": args.receiver, "events": [event.strip() for event in args.events.split(",")], **secret(args)}
    return told_secret(args, asked(args, Webhooks, lambda webhooks: webhooks.add(body)))
