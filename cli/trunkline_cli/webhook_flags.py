"""What the commands about webhooks have in common: their flags, and how a secret is shown once."""

from __future__ import annotations

import argparse
import os
from typing import Final

from trunkline.contracts.errors import Invalid
from trunkline_cli.asking import told
from trunkline_cli.console import OK, err, out, print_json
from trunkline_cli.orchestrator import Object
from trunkline_cli.plain import plain

EVENTS: Final = ("job.completed", "job.failed")


def add_webhook(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("webhook", metavar="ID", help="as `trunkline webhooks` lists it")


def add_secret(parser: argparse.ArgumentParser) -> None:
    text = "the variable that holds the secret (default: one is made, and shown once); a command line can be read by everybody"
    parser.add_argument("--secret-from", metavar="ENV", help=text)


def secret(args: argparse.Namespace) -> Object:
    """As a part of what is sent; nothing where none is given. Raises Invalid, and never says what it was."""
    if not args.secret_from:
        return {}
    text = os.environ.get(args.secret_from, "").strip()
    if not text:
        raise Invalid(f"The variable {args.secret_from} of --secret-from is not set, or empty.")
    return {"secret": text}


def told_secret(args: argparse.Namespace, answer: Object) -> int:
    """The id and the secret, each alone on a line of the output, and beside it that the secret is not shown again."""
    if args.json:
        print_json(answer)
        return OK
    webhook, made = answer.get("webhook"), answer.get("secret")
    shown = webhook if isinstance(webhook, dict) else {}
    out().print(plain(str(shown.get("webhook_id", ""))), markup=False)
    if made:
        out().print(plain(str(made)), markup=False)
        err().print("The second line is its secret. It is never shown again: give it to the receiver now.", markup=False)
    err().print(told(answer), markup=False)
    return OK
