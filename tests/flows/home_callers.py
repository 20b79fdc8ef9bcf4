"""Agents that call home in the matrix of who may do what: where they are known, their keys, and an instance with a message."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

import requests

from trunkline.auth.instance_keys import InstanceKeys
from trunkline.bus.vault import vault_key
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.runtime.clock import now

VAULT_KEY = "a key for what callers entrust in this test"
PLACES = ("/api/v1/messages", "/api/v1/agent", "/api/v1/sessions", "/api/v1/auth", "/api/v1/github/dispatches", "/api/v1/github/runs")
"""Where the keys of instances count."""


def key(tenant: str, task: str) -> str:
    made = InstanceKeys(vault_key(VAULT_KEY), time.time)
    return made.text(TenantId(tenant), TaskId(task), secrets.token_hex(8), now() + timedelta(hours=1))


def called(url: str, credential: Mapping[str, str]) -> dict[str, str]:
    """A new instance of somebody's, and what its agent said."""
    said = {"content": "begun", "agent_type": "claude", "agent_instance_id": str(uuid4())}
    answer = requests.post(f"{url}/api/v1/messages/agent", json=said, headers=credential, timeout=20)
    assert answer.ok, answer.text
    return {"agent_instance_id": said["agent_instance_id"], "agent_message_id": answer.json()["message_id"]}
