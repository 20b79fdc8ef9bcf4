"""Agents that call home, from the command line: started, read, answered; against a gateway that speaks as its document says."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.desk import HEX, TASK, TOKEN, Desk
from tests.unit.cli.terminal import on_a_terminal
from trunkline_cli.instances import instance_id

Trunkline = Callable[..., tuple[int, str, str]]
UUID = f"{HEX[:8]}-{HEX[8:12]}-{HEX[12:16]}-{HEX[16:20]}-{HEX[20:]}"
M1 = "1" * 32
QUESTION = f"approval_{HEX}_q{M1}"
TAKEN = {"success": True, "message": "queued", "agent_instance_id": UUID, "task_id": TASK, "status": "queued"}
DISPATCHES, USER = "POST /api/v1/github/dispatches", "POST /api/v1/messages/user"
SAID = {"success": True, "message_id": M1, "marked_as_read": False}
DECIDED = {"success": True, "approval_id": QUESTION, "message": "Approved by ann"}


def spoken(id: str, text: str, sender: str = "AGENT", *, asks: bool = False) -> dict[str, Any]:
    return {"id": id, "content": text, "sender_type": sender, "created_at": "2026-01-01T00:00:00Z", "requires_user_input": asks}


def instance(*messages: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"id": UUID, "agent_type_name": "claude", "status": "ACTIVE", "git_diff": None, "messages": list(messages), **more}


def asking(status: str = "pending", kind: str = "input", text: str = "Which\x1b[2J colour?") -> dict[str, Any]:
    approval = {"approval_id": QUESTION, "kind": kind, "status": status, "digest": "ab" * 32, "about": {"question": text}}
    return {"success": True, "approval": approval}


def test_a_dispatch_is_answered_by_its_id_alone_on_a_line_and_by_what_can_be_done_next(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(DISPATCHES, TAKEN, 202)
    code, out, _ = trunkline("dispatch", "acme/shop", "--prompt", "Fix it.")
    assert (code, out.splitlines()[0]) == (0, UUID)
    assert f"watch {TASK} " in out and f"reply {UUID} " in out and f"messages {UUID} " in out and "approve" not in out
    (asked,) = desk.asked
    assert asked.body == {"owner": "acme", "repo": "shop", "prompt": "Fix it."}
    assert "Idempotency-Key" in asked.headers


def test_all_of_a_dispatch_may_be_said(desk: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.says(DISPATCHES, TAKEN | {"status": "held", "approval_id": f"approval_{HEX}"}, 202)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    words = ["--branch", "next", "--type", "claude", "--id", "release 7", "--installation", "12"]
    code, out, _ = trunkline("dispatch", "acme/shop", "--prompt", "-", *words)
    assert code == 0 and f"approve approval_{HEX} " in out
    assert desk.asked[0].body == {
        "owner": "acme", "repo": "shop", "prompt": "one\ntwo\n", "branch_name": "next", "agent_type": "claude",
        "agent_instance_id": "release 7", "installation_id": 12,
    }  # fmt: skip
    desk.says(DISPATCHES, TAKEN, 202)
    assert json.loads(trunkline("dispatch", "acme/shop", "--prompt", "a", "--json")[1])["agent_instance_id"] == UUID


@pytest.mark.parametrize("words", [["acme", "--prompt", "a"], ["/shop", "--prompt", "a"], ["acme/shop", "--prompt", " "], ["acme/shop"]])
def test_a_dispatch_of_nothing_is_not_even_sent(words: list[str], desk: Desk, trunkline: Trunkline) -> None:
    try:
        code = trunkline("dispatch", *words)[0]
    except SystemExit as ended:  # argparse says what it cannot read
        code = int(str(ended.code))
    assert (code, desk.asked) == (2, [])


@pytest.mark.parametrize("name", [UUID, HEX, TASK, f"task_{UUID}"])
def test_a_conversation_is_listed_one_a_line_and_no_text_drives_the_terminal(name: str, desk: Desk, trunkline: Trunkline) -> None:
    there = f"GET /api/v1/agent-instances/{name.removeprefix('task_')}"
    told = instance(spoken(M1, "Which\x1b[2J\ncolour?", asks=True), spoken("2" * 32, "x" * 900, "USER"), status="AWAITING_INPUT")
    desk.says(there, told)
    code, out, err = trunkline("messages", name)
    first, second = out.splitlines()
    assert (code, first.split("\t")[:3]) == (0, [M1, "asks", "Which colour?"])
    assert second.split("\t")[1] == "user" and len(second) < 600
    assert "claude: AWAITING_INPUT" in err and f"reply {UUID}" in err
    assert json.loads(trunkline("messages", name, "--json")[1]) == told


def test_a_long_conversation_is_listed_from_its_beginning_however_few_of_it_come_at_once(desk: Desk, trunkline: Trunkline) -> None:
    there = f"GET /api/v1/agent-instances/{UUID}"
    for page in (["three", "four"], ["two"], ["one"], []):
        desk.says(there, instance(*(spoken(text.ljust(32, "0"), text) for text in page)))
    code, out, _ = trunkline("messages", UUID)
    assert (code, [line.split("\t")[2] for line in out.splitlines()]) == (0, ["one", "two", "three", "four"])
    befores = [asked.query.get("before_message_id", "").rstrip("0") for asked in desk.asked]
    assert befores == ["", "three", "two", "one"]


def test_what_the_agent_changed_is_shown_as_it_is_but_for_what_drives_a_terminal(desk: Desk, trunkline: Trunkline) -> None:
    there = f"GET /api/v1/agent-instances/{UUID}"
    desk.says(there, instance(git_diff="--- a\n+++ b\n-\told\x1b[2J\n+\tnew"))
    desk.says(there, instance())
    assert trunkline("messages", UUID, "--diff")[:2] == (0, "--- a\n+++ b\n-\told\n+\tnew\n")
    code, out, err = trunkline("messages", UUID, "--diff")
    assert (code, out) == (0, "") and "no changes" in err


def test_an_agent_of_ours_has_a_queue_and_tells_of_no_changes(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /tasks/{TASK}/messages", {"success": True, "task_id": TASK, "messages": [], "paused": False, "closed": True})
    code, out, err = trunkline("messages", TASK)
    assert (code, out) == (0, "") and "would reach the agent" in err
    assert trunkline("messages", TASK, "--diff")[0] == 2


def test_a_reply_is_kept_for_the_agent_to_read(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(USER, SAID)
    code, out, _ = trunkline("reply", TASK, "Red.")
    assert (code, out.splitlines()[0]) == (0, M1)
    (asked,) = desk.asked
    assert asked.body == {"agent_instance_id": HEX, "content": "Red.", "mark_as_read": False}
    assert "Idempotency-Key" in asked.headers
    assert json.loads(trunkline("reply", "release 7", "Red.", "--json")[1]) == SAID
    assert desk.asked[1].body["agent_instance_id"] == "release 7"


def test_a_reply_that_says_nothing_is_not_sent_and_a_refusal_is_said_in_the_gateway_s_words(desk: Desk, trunkline: Trunkline) -> None:
    assert trunkline("reply", UUID, " ")[0] == 2
    assert desk.asked == []
    desk.says(USER, {"detail": "Agent instance not found"}, 404)
    code, out, err = trunkline("reply", UUID, "Red.")
    assert (code, out) == (2, "") and "Agent instance not found" in err


def test_what_is_no_id_of_a_task_is_the_text_that_it_was_dispatched_under() -> None:
    assert [instance_id(text) for text in (UUID, TASK, "release 7", "task_7")] == [UUID, HEX, "release 7", "task_7"]


def test_an_answer_goes_with_the_yes_and_may_come_from_standard_input(
    desk: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.says(f"POST /approvals/{QUESTION}/approve", DECIDED)
    assert trunkline("approve", QUESTION, "--answer", "Red.")[0] == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Red\nor blue.\n")))
    assert trunkline("approve", QUESTION, "--answer", "-")[0] == 0
    assert [asked.body for asked in desk.asked] == [{"answer": "Red."}, {"answer": "Red\nor blue.\n"}]


@pytest.mark.parametrize("words", [["--answer", ""], ["--answer", " \n"], [f"{QUESTION}0", "--answer", "Red."]])
def test_an_answer_says_something_and_to_one(words: list[str], desk: Desk, trunkline: Trunkline) -> None:
    assert trunkline("approve", QUESTION, *words)[0] == 2
    assert desk.asked == []


def test_a_script_that_gives_no_answer_is_not_asked_for_one(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"POST /approvals/{QUESTION}/approve", {"detail": "the agent asked for words: give it an `answer`"}, 400)
    code, _, err = trunkline("approve", QUESTION)
    assert code == 2 and "give it an `answer`" in err
    assert [asked.method for asked in desk.asked] == ["POST"]


def test_a_question_shows_how_it_is_answered(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /approvals/{QUESTION}", asking())
    code, out, err = trunkline("approvals", QUESTION)
    assert (code, "question\tWhich\\u001b[2J colour?" in out.splitlines()) == (0, True)
    assert f"approve {QUESTION} --digest {'ab' * 32} --answer TEXT" in err


def test_whoever_sits_at_a_terminal_is_shown_the_question_and_asked(desk: Desk, tmp_path: Path) -> None:
    desk.says(f"GET /approvals/{QUESTION}", asking())
    desk.says(f"POST /approvals/{QUESTION}/approve", DECIDED)
    environment = {"TRUNKLINE_URL": desk.url, "TRUNKLINE_TOKEN": TOKEN, "TRUNKLINE_DATA_DIR": str(tmp_path)}
    code, said = on_a_terminal(["approve", QUESTION], environment, typed="Red.\n")
    assert code == 0 and "\\u001b[2J colour?" in said and "Approved by ann" in said
    assert desk.asked[-1].body == {"answer": "Red."}
