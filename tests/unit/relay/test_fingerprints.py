"""What a stranger is known again by is told to no subscriber: whoever knew it could do as that stranger."""

from __future__ import annotations

from datetime import UTC, datetime

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event
from trunkline.contracts.task import Assignment, TaskSubmitted
from trunkline.contracts.views import FINGERPRINT
from trunkline_relay.model.hook_payload import Subject, body

AT = datetime(2026, 11, 22, tzinfo=UTC)
CANARY = "canary-of-a-browser"


def test_no_delivery_tells_a_fingerprint_or_a_mark() -> None:
    asked = Assignment(repo="acme/shop", prompt="it", surface="pr_agent", labels={FINGERPRINT: CANARY}, sent_from=CANARY)
    fact = TaskSubmitted(assignment=asked, submitted_by="anonymous", deadline_at=AT)
    event = Event(Cursor("k3v9", 1), TenantId("public"), TaskId("0" * 32), "task", AT, fact)
    told = body(event, Subject("anonymous", "pr_agent", "acme/shop", ""), "task.submitted", "http://127.0.0.1")
    assert "acme/shop" in told
    assert CANARY not in told
