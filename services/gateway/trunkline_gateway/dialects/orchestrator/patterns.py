"""What texts of this surface look like: for machines as patterns, for people in words."""

from __future__ import annotations

from typing import Final

from trunkline_gateway.dialects.orchestrator.names import APPROVAL, DELIVERY, EVENT, SCHEDULE, TASK, TRACE, WEBHOOK

_STATUS: Final = "(?:pending|assigned|in_progress|completed|failed|cancelled)"
STATUSES: Final = f"^{_STATUS}(?:,{_STATUS})*$"
TYPES: Final = r"^[A-Za-z0-9_.-]{1,64}(?:,[A-Za-z0-9_.-]{1,64})*$"
PRIORITIES: Final = r"^P[0-3](?:,P[0-3])*$"
SECONDS: Final = r"^[0-9]{1,8}$"
DIGEST: Final = r"^[0-9a-f]{64}$"
DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
MESSAGE: Final = r"^[0-9a-f]{32}$"
TENANT: Final = r"^[A-Za-z0-9_-]{1,64}$"
WEBHOOK_EVENT: Final = r"^(?:\*|[a-z0-9_]+(?:\.[a-z0-9_]+)*(?:\.\*)?)$"

_IN_WORDS: Final = {
    TASK: "must be the id of a task, such as task_01a1fe1a15477676b883dd25f2dda5a4",
    APPROVAL: "must be the id of an approval, such as approval_01a1fe1a15477676b883dd25f2dda5a4",
    WEBHOOK: "must be the id of a webhook, such as wh_01a1fe1a15477676b883dd25f2dda5a4",
    DELIVERY: "must be the id of a delivery, such as dlv_01a1fe1a15477676b883dd25f2dda5a401a1fe1a",
    SCHEDULE: "must be the id of a schedule, such as sch_01a1fe1a15477676b883dd25f2dda5a4",
    WEBHOOK_EVENT: "must be an event such as job.completed, a family such as task.*, or * for all",
    TRACE: "must be 1 to 128 letters, digits and any of . _ : -",
    EVENT: "must be small words with dots between them, such as deployment.completed",
    STATUSES: "must be one or more of pending, assigned, in_progress, completed, failed and cancelled, with commas between them",
    TYPES: "must be one or more types of tasks, with commas between them",
    PRIORITIES: "must be one or more of P0, P1, P2 and P3, with commas between them",
    SECONDS: "must be a whole number of seconds",
    DIGEST: "must be the digest of an approval: 64 digits and letters a to f",
    DAY: "must be a day such as 2025-10-22",
    MESSAGE: "must be the id of a message: 32 digits and letters a to f",
    TENANT: "must be 1 to 64 letters, digits and any of _ -",
}


def in_words(pattern: str) -> str:
    """What a text that breaks this pattern must be."""
    return _IN_WORDS.get(pattern, f"must match pattern '{pattern}'")
