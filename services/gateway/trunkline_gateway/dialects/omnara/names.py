"""The names of the omnara surface: its paths, and how it writes ids and times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import orjson

from trunkline.contracts.ids import instance_task_id, wire_id

SURFACE: Final = "omnara"
MESSAGES: Final = "/api/v1/messages"
INSTANCES: Final = "/api/v1/agent-instances"
INSTANCE: Final = INSTANCES + "/{agent_instance_id}"
HEARTBEATS: Final = "/api/v1/agents/instances"
SESSIONS: Final = "/api/v1/sessions"
END: Final = SESSIONS + "/end"
VERIFY: Final = "/api/v1/auth/verify"
DISPATCHES: Final = "/api/v1/github/dispatches"
RUNS: Final = "/api/v1/github/runs"
STREAM: Final = "/messages/stream"
CLAIMS: Final = (MESSAGES, INSTANCES, HEARTBEATS, SESSIONS, VERIFY, DISPATCHES, RUNS)


def agent_type_id(agent_type: str) -> str:
    """The same for the same word; the original numbers its types, and clients only pass this on."""
    return wire_id(instance_task_id(f"type:{agent_type}"))


def iso(at: datetime) -> str:
    """`2025-10-22T06:00:00.123456Z`."""
    return orjson.dumps(at.astimezone(UTC), option=orjson.OPT_UTC_Z)[1:-1].decode()  # takes a third of `isoformat`
