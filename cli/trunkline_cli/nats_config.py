"""The configuration of the embedded nats-server: what it may take, who may connect, and that an acknowledgement means `on disk`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from trunkline.bus.accounts import CONTROL_USER, SYSTEM_USER, accounts

MAX_PAYLOAD = 2 << 20
MAX_CONSUMERS = 100_000
"""Since 2.15 a stream takes 1,000 consumers unless told otherwise; ours are counted by us."""
MAX_MEMORY_STORE = 256 << 20
SMALLEST_STORE = 64 << 20
SHARE_OF_DISK = 0.8


@dataclass(frozen=True, slots=True)
class Credentials:
    """Random per data directory; `system` is for whoever looks into the server itself."""

    control: str
    system: str
    issuer: str
    """Public key of whoever vouches for agents."""

    CONTROL_USER = CONTROL_USER
    SYSTEM_USER = SYSTEM_USER


@dataclass(frozen=True, slots=True)
class Ports:
    """Both on loopback; kept over restarts, so that clients find the server again."""

    clients: int
    monitor: int


def store_limit(wanted: int, free: int, used: int) -> int:
    """Bytes that the store may take: below the disk, so that a full one is a clear error and not a stream that sticks."""
    return min(wanted, int((free + used) * SHARE_OF_DISK))


def render(folder: Path, ports: Ports, credentials: Credentials, limit: int) -> str:
    """The file that nats-server reads. Holds passwords: to be written for the owner's eyes only."""
    return f"""\
# Written by `trunkline up` at every start; changes are lost.
server_name: trunkline
listen: "127.0.0.1:{ports.clients}"
http: "127.0.0.1:{ports.monitor}"
max_payload: {MAX_PAYLOAD}
log_file: {_text(folder / "nats-server.log")}
logfile_size_limit: 10MB
logfile_max_num: 3
# nats-py acknowledges in the first form.
feature_flags {{ js_ack_fc_v2: false }}
jetstream {{
  store_dir: {_text(folder / "store")}
  # Costs 0.4 ms an append; without it a power cut takes acknowledged writes with it, and whole streams.
  sync_interval: always
  max_file_store: {limit}
  max_memory_store: {MAX_MEMORY_STORE}
  limits {{ default_max_consumers: {MAX_CONSUMERS} }}
}}
{accounts(_text(credentials.control), _text(credentials.system), credentials.issuer)}"""


def _text(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)
