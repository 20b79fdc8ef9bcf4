"""Removes a webhook; nothing is sent to it any more."""

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
    return done(args, asked(args, Webhooks, lambda webhooks: webhooks.remove(args.webhook)))
