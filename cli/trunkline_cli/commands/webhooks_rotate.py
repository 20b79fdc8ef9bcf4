"""Gives a webhook a new secret, shown once; for a while what is sent is signed with both."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import add_json, asked
from trunkline_cli.webhook_flags import add_secret, add_webhook, secret, told_secret
from trunkline_cli.webhooks import Webhooks


def configure(parser: argparse.ArgumentParser) -> None:
    add_webhook(parser)
    add_secret(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Invalid, Conflict, Unavailable."""
    body = secret(args)
    return told_secret(args, asked(args, Webhooks, lambda webhooks: webhooks.rotate(args.webhook, body)))
