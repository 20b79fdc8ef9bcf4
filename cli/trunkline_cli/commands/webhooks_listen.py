"""Receives webhooks on this machine, verifies them and prints them, until it is interrupted."""

from __future__ import annotations

import argparse
import asyncio
import os

from aiohttp import web

from trunkline.contracts.errors import Conflict, Invalid
from trunkline.sdk.webhooks import WebhookEvent
from trunkline_cli.console import OK, err, print_json
from trunkline_cli.plain import one_line
from trunkline_cli.receiver import Receiver


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "A gateway tells this machine only where the setting webhook_networks_allowed names its network, such as 127.0.0.0/8: "
        "`webhooks add http://127.0.0.1:9009`."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9009, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--secret-from", metavar="ENV", required=True, help="the variable that holds the secret, or several with spaces between"
    )
    parser.add_argument("--json", action="store_true", help="print each event as one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Raises Invalid, Conflict where the port is taken."""
    secrets = os.environ.get(args.secret_from, "").split()
    if not secrets:
        raise Invalid(f"The variable {args.secret_from} of --secret-from is not set, or empty.")
    hear = _print_line if args.json else _print_text
    asyncio.run(_serve(args, Receiver(secrets, hear, lambda why: err().print(f"Refused: {one_line(why)}", markup=False))))
    return OK


async def _serve(args: argparse.Namespace, receiver: Receiver) -> None:
    runner = web.AppRunner(receiver.site())
    await runner.setup()
    try:
        await web.TCPSite(runner, args.host, args.port).start()
        err().print(f"Listening on http://{args.host}:{args.port}", markup=False)
        await asyncio.Event().wait()
    except OSError as error:
        raise Conflict(
            f"Port {args.port} cannot be listened on: {error.strerror}. Choose another with --port.", code="PORT_NOT_FREE"
        ) from None
    finally:
        await runner.cleanup()


def _print_text(event: WebhookEvent) -> None:
    about = str(event.data.get("task_id") or "-")
    print("\t".join(one_line(text) for text in (event.id, event.type, about)), flush=True)


def _print_line(event: WebhookEvent) -> None:
    told = {"id": event.id, "type": event.type, "timestamp": event.timestamp.isoformat(), "data": {**event.data}}
    print_json(told, line=True)  # type: ignore[arg-type]  # it was read as JSON
