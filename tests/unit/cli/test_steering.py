"""Steering from the command line, against a gateway that speaks as its document says."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.cli.desk import TASK, Desk
from trunkline.contracts.errors import Invalid
from trunkline_cli.messaging import QueueShown, moved

Trunkline = Callable[..., tuple[int, str, str]]
A, B, C = ("a" * 32, "b" * 32, "c" * 32)


def message(id: str, text: str, state: str = "queued") -> dict[str, Any]:
    return {"message_id": id, "text": text, "by": "ann", "state": state, "edits": 0, "queued_at": "2026-01-01T00:00:00Z"}


def queue(*messages: dict[str, Any], **more: bool) -> dict[str, Any]:
    return {"success": True, "task_id": TASK, "messages": list(messages), "paused": False, "closed": False, **more}


def test_what_is_sent_is_answered_by_its_id_alone_on_a_line(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"POST /tasks/{TASK}/messages", {"success": True, "message": "Message queued", "message_id": A}, 202)
    code, out, _ = trunkline("send", TASK, "use tabs")
    assert (code, out.splitlines()[0]) == (0, A)
    (asked,) = desk.asked
    assert (asked.body, "Idempotency-Key" in asked.headers) == ({"text": "use tabs"}, True)


def test_a_long_message_comes_from_standard_input(desk: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.says(f"POST /tasks/{TASK}/messages", {"success": True, "message": "Message queued", "message_id": A}, 202)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    code, out, _ = trunkline("send", TASK, "-", "--json")
    assert (code, json.loads(out)["message_id"], desk.asked[0].body) == (0, A, {"text": "one\ntwo\n"})


def test_messages_are_listed_one_a_line_and_no_text_drives_the_terminal(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /tasks/{TASK}/messages", queue(message(A, "one\x1b[2J\ntwo"), message(B, "x" * 900, "taken"), paused=True))
    code, out, err = trunkline("messages", TASK)
    first, second = out.splitlines()
    assert (code, first.split("\t")[:4]) == (0, [A, "queued", "one two", "ann"])
    assert len(second) < 300 and second.split("\t")[1] == "taken"
    assert "paused" in err


def test_a_message_is_changed_withdrawn_and_moved(desk: Desk, trunkline: Trunkline) -> None:
    done = {"success": True, "message": "Message changed", "message_id": B}
    desk.says(f"PATCH /tasks/{TASK}/messages/{B}", done)
    desk.says(f"DELETE /tasks/{TASK}/messages/{B}", {**done, "message": "Message withdrawn"})
    desk.says(f"GET /tasks/{TASK}/messages", queue(message(A, "one"), message(B, "two"), message(C, "old", "taken")))
    desk.says(f"PUT /tasks/{TASK}/messages/order", {"success": True, "message": "Messages ordered", "message_ids": [B, A]})
    assert trunkline("messages", "edit", TASK, B, "zwei")[:2] == (0, "Message changed\n")
    assert trunkline("messages", "move", TASK, B, "first")[:2] == (0, "Messages ordered\n")
    assert trunkline("messages", "withdraw", TASK, B)[:2] == (0, "Message withdrawn\n")
    assert [(asked.method, asked.body) for asked in desk.asked] == [
        ("PATCH", {"text": "zwei"}), ("GET", None), ("PUT", {"message_ids": [B, A]}), ("DELETE", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "order"), [("first", [C, A, B]), ("last", [A, B, C]), ("1", [C, A, B]), ("2", [A, C, B]), ("3", [A, B, C])]
)
def test_a_message_moves_to_a_place(place: str, order: list[str]) -> None:
    waiting = QueueShown.model_validate(queue(message(A, ""), message(B, ""), message(C, ""), message("d" * 32, "", "taken")))
    assert moved(waiting, C, place) == order


@pytest.mark.parametrize(("id", "place"), [(C, "0"), (C, "4"), (C, "-1"), (C, "top"), ("d" * 32, "first"), ("x", "first")])
def test_a_place_or_a_message_that_is_not_there_is_refused(id: str, place: str) -> None:
    waiting = QueueShown.model_validate(queue(message(A, ""), message(B, ""), message(C, ""), message("d" * 32, "", "taken")))
    with pytest.raises(Invalid):
        moved(waiting, id, place)


@pytest.mark.parametrize("verb", ["interrupt", "pause", "resume"])
def test_a_run_is_steered(desk: Desk, trunkline: Trunkline, verb: str) -> None:
    desk.says(f"POST /tasks/{TASK}/{verb}", {"success": True, "message": f"It will {verb}", "action": verb}, 202)
    assert trunkline(verb, TASK)[:2] == (0, f"It will {verb}\n")
    assert json.loads(trunkline(verb, TASK, "--json")[1])["action"] == verb


def test_a_refusal_is_said_in_the_gateway_s_words(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"POST /tasks/{TASK}/messages", {"detail": "the task is over, and its agent with it; submit another task"}, 409)
    code, out, err = trunkline("send", TASK, "hello")
    assert (code, out) == (2, "") and "the task is over" in err
    assert trunkline("messages", "withdraw", TASK, "nonsense")[0] == 2
    assert trunkline("interrupt", "nonsense")[0] == 2
    assert len(desk.asked) == 1
