"""Mints a token on this machine, with the secret that the gateway here signs with; only the token is printed."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from trunkline.auth.claims import ROLES
from trunkline.auth.principal import HOME
from trunkline.contracts.errors import Invalid
from trunkline_cli import sources
from trunkline_cli.console import OK
from trunkline_cli.operator import DEV_FILE, root_of
from trunkline_cli.sources import Sources
from trunkline_gateway.adapters.credentials import tokens_of
from trunkline_gateway.settings import Settings as GatewaySettings
from trunkline_gateway.usecases.desk import TokenWish, lifetime, wanted


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "The secret is ORCHESTRATOR_JWT_SECRET, or what `up --dev` keeps in the data directory."
    parser.add_argument("--subject", required=True, help="whom the token stands for")
    parser.add_argument("--role", required=True, choices=tuple(ROLES), help="what it may do")
    parser.add_argument("--tenant", help=f"where (default: {HOME})")
    parser.add_argument("--hours", type=float, help="how long it counts (default: as long as tokens may)")
    parser.add_argument("--json", action="store_true", help="print one JSON document: the token, and what it says")
    parser.add_argument("--config", metavar="FILE", help="settings file, as for `up`")
    parser.add_argument("--data-dir", metavar="DIR", help="data directory of the gateway, as for `up`")


def run(args: argparse.Namespace) -> int:
    signer = tokens_of(_settings(args))
    principal = wanted(TokenWish(args.subject, args.role, args.tenant), HOME)
    minted = signer.mint(principal, lifetime(None if args.hours is None else args.hours * 3600, signer.longest_s))
    if args.json:
        ends = datetime.fromtimestamp(minted.expires_at, UTC).isoformat().replace("+00:00", "Z")
        said = {"subject": principal.subject, "role": principal.role, "tenant": principal.tenant, "expires_at": ends}
        print(json.dumps({"token": minted.text, **said}, indent=2))
    else:
        print(minted.text)
    return OK


def _settings(args: argparse.Namespace) -> GatewaySettings:
    """With a secret in them. Raises Invalid (NO_SECRET)."""
    said, _ = sources.read(argparse.Namespace(config=args.config, data_dir=args.data_dir))
    settings = said.load(GatewaySettings).settings
    if settings.jwt_secret.get_secret_value() or settings.jwt_secret_file:
        return settings
    return _with_dev_secret(said, args)


def _with_dev_secret(said: Sources, args: argparse.Namespace) -> GatewaySettings:
    kept = root_of(args) / DEV_FILE
    if not kept.is_file():
        raise Invalid(
            "No secret to sign with is configured here. Set ORCHESTRATOR_JWT_SECRET to what the gateway has (32 bytes or more), "
            f"or run `trunkline up --dev` on this data directory first: it keeps one in {kept}.",
            code="NO_SECRET",
        )
    return said.over(jwt_secret_file=str(kept)).load(GatewaySettings).settings
