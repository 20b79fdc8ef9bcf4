"""Makes the key by which a gateway lets agents in on an outside nats-server, and prints both halves as environment variables.

`TRUNKLINE_NATS_CALLOUT_SEED` is for the gateways and as good as every agent's password; `TRUNKLINE_NATS_CALLOUT_ISSUER` is for the
configuration of nats-server. `trunkline up` does this by itself.
"""

from __future__ import annotations

import argparse

from trunkline.auth.nkeys import Issuer, new_seed
from trunkline_cli.console import OK


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "export $(trunkline nats-key)"


def run(args: argparse.Namespace) -> int:
    seed = new_seed()
    print(f"TRUNKLINE_NATS_CALLOUT_SEED={seed}")
    print(f"TRUNKLINE_NATS_CALLOUT_ISSUER={Issuer.of(seed).public}")
    return OK
