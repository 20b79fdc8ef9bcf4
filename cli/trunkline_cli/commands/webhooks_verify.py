"""Asks the receiver of a webhook for its handshake again, as after it was pending or disabled."""

from __future__ import annotations

import argparse

from trunkline_cli.asking import add_json, asked, done
from trunkline_cli.webhook_flags import add_webhook
from trunkline_cli.webhooks import Webhooks


def configure(parser: argparse.ArgumentParser) -> None:
    add_webhook(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NotFound, Unavailable."""
    return done(args, asked(args, Webhooks, lambda webhooks: webhooks.verify(args.webhook)))
