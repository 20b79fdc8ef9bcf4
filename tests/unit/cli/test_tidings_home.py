"""What happens around an agent that calls home, as a person reads it: pure."""

from __future__ import annotations

import pytest

from tests.each import each
from trunkline_cli.shapes import TaskEvent
from trunkline_cli.tidings import tell

RUN = {"run_id": 7, "url": "https://github.com/acme/shop/actions/runs/7", "status": "in_progress", "conclusion": ""}


def event(name: str, **payload: object) -> TaskEvent:
    return TaskEvent.model_validate({"event_type": name, "timestamp": "2026-01-01T00:00:00Z", "payload": payload})


@each(
    ("name", "payload", "label", "text"),
    [
        ("instance.opened", {"agent_type": "claude"}, "agent", "claude has a conversation"),
        ("instance.said", {"text": "I read it.", "asks": False}, "agent", "I read it."),
        ("instance.said", {"text": "Which colour?", "asks": True}, "asks", "Which colour?"),
        ("instance.asked", {"text": ""}, "asks", "for input on what it said before"),
        ("instance.told", {"text": "Red.", "by": "bob"}, "told", "Red. (by bob)"),
        ("instance.moved", {"status": "STALE", "was": "ACTIVE", "why": "quiet"}, "agent", "ACTIVE to STALE: quiet"),
        ("instance.diffed", {"diff": "--- a\n+++ b\n-old\n+new\n+more"}, "changes", "+2 -1 lines so far"),
        ("instance.diffed", {"diff": ""}, "changes", "none any more"),
        ("dispatch.wanted", {"event_type": "omnara_trigger", "repo": "a/b"}, "workflow", "omnara_trigger is to be sent to a/b"),
        ("dispatch.tried", {"outcome": "accepted", "status": 204, "error": ""}, "workflow", "start accepted 204"),
        ("dispatch.tried", {"outcome": "request_failed", "status": 422, "error": "no"}, "workflow", "start request failed 422 no"),
        ("dispatch.cancel_tried", {"outcome": "accepted", "status": 202}, "workflow", "cancel accepted 202"),
        ("dispatch.run_seen", {"run": RUN}, "workflow", f"in_progress: {RUN['url']}"),
        ("dispatch.run_seen", {"run": {**RUN, "url": "", "conclusion": "failure"}}, "workflow", "failure: 7"),
        ("dispatch.run_told", {"run_id": 7, "refused": "no"}, "workflow", "run 7, which its key named, is not its own: no"),
        ("dispatch.given_up", {"error": "no workflow began"}, "workflow", "given up: no workflow began"),
    ],
)
def test_each_is_told_in_a_line(name: str, payload: dict[str, object], label: str, text: str) -> None:
    told = tell(event(name, **payload))
    assert told and (told.label, told.text) == (label, text)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("instance.read", {"gave": ["a"]}),
        ("instance.moved", {"status": "AWAITING_INPUT", "was": "ACTIVE"}),
        ("instance.moved", {"status": "ACTIVE", "was": "AWAITING_INPUT"}),
        ("dispatch.tried", {"outcome": "begun"}),
        ("dispatch.key_revoked", {"key_id": "k"}),
    ],
)
def test_what_others_tell_already_is_not_told_again(name: str, payload: dict[str, object]) -> None:
    assert tell(event(name, **payload)) is None


def test_what_is_of_another_form_than_expected_breaks_nothing() -> None:
    for name in ("instance.said", "instance.moved", "instance.diffed", "dispatch.run_seen", "dispatch.tried"):
        tell(event(name, text=5, run="x", diff=[1], outcome=None))
