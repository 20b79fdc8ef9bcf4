"""Lists the webhooks of the tenant: who is told what, and whether they listen."""

from __future__ import annotations

import argparse

from trunkline.runtime.clock import now
from trunkline_cli import tables
from trunkline_cli.asking import add_json, asked
from trunkline_cli.console import OK, err, out, print_json, program
from trunkline_cli.webhooks import WEBHOOKS, WebhookList, Webhooks, webhook_row


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "`webhooks add URL` makes one; `show`, `change`, `deliveries`, `redeliver`, `rotate`, `verify` and `remove` take its id; "
        "`webhooks listen` receives and prints on this machine."
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Raises Unavailable."""
    answer = asked(args, Webhooks, lambda webhooks: webhooks.all())
    if args.json:
        print_json(answer)
        return OK
    found = WebhookList.model_validate(answer).webhooks
    if not found:
        err().print(f"There is no webhook yet. `{program()} webhooks add URL` makes one.", markup=False)
        return OK
    at = now()
    tables.show(WEBHOOKS, (webhook_row(each, at) for each in found), out())
    return OK
