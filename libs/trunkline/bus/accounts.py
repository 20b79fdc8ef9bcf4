"""The accounts of a nats-server, as its configuration says them: ours, that of agents which connect themselves, and the server's own."""

from __future__ import annotations

from typing import Final

from trunkline.auth.nats_users import ACCOUNT
from trunkline.contracts import subjects
from trunkline.contracts.agent import MOST_REQUEST

CONTROL: Final = "CONTROL"
SYSTEM: Final = "SYS"
CONTROL_USER: Final = "control"
SYSTEM_USER: Final = "system"
CONNECTIONS: Final = "$SYS.REQ.SERVER.PING.CONNZ"
KICK: Final = "$SYS.REQ.SERVER.*.KICK"
GONE: Final = f"$SYS.ACCOUNT.{ACCOUNT}.DISCONNECT"
"""Where each server says that a connection of an agent ended, whatever ended it."""
MOST_CONNECTIONS: Final = 10_000
"""Of all agents together, on each server."""
MOST_SUBSCRIPTIONS: Final = 64
"""Of one connection: one with more is closed."""
MOST_PAYLOAD: Final = MOST_REQUEST + (16 << 10)
"""Bytes of a message with its headers, beyond which a connection is closed: a body that is a little too large we refuse, with a reason."""
ANSWERED_WITHIN_S: Final = 2


def accounts(control: str, system: str, issuer: str) -> str:
    """The block for a configuration. `control` and `system` are passwords and `issuer` a public key, each as the file is to have it."""
    served = [f"agent.*.*.{verb}" for verb in subjects.AGENT_VERBS]
    exports = [f'{{ service: "{each}", accounts: [{ACCOUNT}] }}' for each in served]
    imports = [f'{{ service: {{ account: {CONTROL}, subject: "{each}" }} }}' for each in served]
    return f"""\
system_account: {SYSTEM}
accounts {{
  {SYSTEM} {{
    users: [ {{ user: {SYSTEM_USER}, password: {system} }} ]
    # So that what was revoked is cut, and nobody waits for an agent that is gone.
    exports: [
      {{ service: "{KICK}", accounts: [{CONTROL}] }}
      {{ service: "{CONNECTIONS}", response_type: stream, accounts: [{CONTROL}] }}
      {{ stream: "{GONE}", accounts: [{CONTROL}] }}
    ]
  }}
  {CONTROL} {{
    jetstream: enabled
    users: [ {{ user: {CONTROL_USER}, password: {control} }} ]
    exports: [
      {_lines(exports)}
      {{ stream: "{subjects.ALL_TOLD}", accounts: [{ACCOUNT}] }}
    ]
    imports: [
      {{ service: {{ account: {SYSTEM}, subject: "{KICK}" }} }}
      {{ service: {{ account: {SYSTEM}, subject: "{CONNECTIONS}" }} }}
      {{ stream: {{ account: {SYSTEM}, subject: "{GONE}" }} }}
    ]
  }}
  # Agents that connect themselves: no JetStream, and of ours only what is imported here, verb by verb.
  {ACCOUNT} {{
    users: []
    limits {{ max_connections: {MOST_CONNECTIONS}, max_subscriptions: {MOST_SUBSCRIPTIONS}, max_payload: {MOST_PAYLOAD}, max_leafnodes: 0 }}
    imports: [
      {_lines(imports)}
      {{ stream: {{ account: {CONTROL}, subject: "{subjects.ALL_TOLD}" }} }}
    ]
  }}
}}
# Who an agent is the gateway says, by the credentials of its other doors.
authorization {{
  timeout: {ANSWERED_WITHIN_S}
  auth_callout {{ issuer: {issuer}, auth_users: [ {CONTROL_USER}, {SYSTEM_USER} ], account: {CONTROL} }}
}}
"""


def _lines(entries: list[str]) -> str:
    return "\n      ".join(entries)
