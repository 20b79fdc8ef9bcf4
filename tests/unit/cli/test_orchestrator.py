"""The commands of the orchestrator surface against a gateway that speaks as its document says: what is sent, said, and returned."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.desk import APPROVAL, HEX, TASK, TOKEN, Desk, frame, numbered, task

JOB = "0194589f-6d00-7000-8000-000000000001"
Trunkline = Callable[..., tuple[int, str, str]]


def test_tasks_are_listed_over_as_many_pages_as_were_asked_for(desk: Desk, trunkline: Trunkline) -> None:
    tasks = list(numbered(130))
    desk.says("GET /tasks", {"success": True, "tasks": tasks[:100], "count": 100, "total": 140, "next_cursor": "c1"})
    desk.says("GET /tasks", {"success": True, "tasks": tasks[100:], "count": 30, "total": 140, "next_cursor": "c2"})
    code, out, err = trunkline("tasks", "--limit", "130", "--status", "assigned", "--agent", "dev_agent", "--sort", "oldest")
    assert (code, len(out.splitlines()), err) == (0, 130, "130 of 140 shown; --limit N shows more, --all shows all.\n")
    wanted = {"status": "assigned", "assigned_agent": "dev_agent", "sort": "created_at"}
    assert [asked.query for asked in desk.asked] == [{**wanted, "limit": "100"}, {**wanted, "limit": "30", "cursor": "c1"}]


def test_json_is_one_document_however_many_pages_it_took(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("GET /tasks", {"success": True, "tasks": [task(1)], "count": 1, "total": 2, "next_cursor": "c1"})
    desk.says("GET /tasks", {"success": True, "tasks": [task(2)], "count": 1, "total": 2, "next_cursor": None})
    code, out, _ = trunkline("tasks", "--all", "--json")
    assert (code, json.loads(out)) == (0, {"success": True, "tasks": [task(1), task(2)], "count": 2, "total": 2, "next_cursor": None})


def test_an_empty_list_says_so_beside_the_output(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("GET /tasks", {"success": True, "tasks": [], "count": 0, "total": 0, "next_cursor": None})
    desk.says("GET /approvals/pending", {"success": True, "approvals": [], "count": 0, "total": 0, "next_cursor": None})
    desk.says("GET /approvals/history", {"success": True, "history": [], "count": 0, "total": 0, "next_cursor": None})
    assert trunkline("tasks")[:2] == (0, "") and "There is no task yet" in trunkline("tasks")[2]
    assert "No task is like that" in trunkline("tasks", "--type", "faq")[2]
    assert "Nothing waits" in trunkline("approvals")[2]
    assert "Nothing was decided" in trunkline("approvals", "--history")[2]


def test_one_task_is_shown_in_full(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /tasks/{TASK}", {"success": True, "task_id": TASK, "task": task(payload={"a": 1}, error=None)})
    code, out, _ = trunkline("tasks", TASK)
    assert code == 0 and 'payload\t{"a": 1}' in out.splitlines() and "error" not in out
    assert json.loads(trunkline("tasks", TASK, "--json")[1])["task"]["payload"] == {"a": 1}


def test_a_task_is_created_as_it_was_said(desk: Desk, trunkline: Trunkline, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"issue": "7"}')
    answer = {"success": True, "task_id": TASK, "message": "Task created and assigned to dev_agent", "approval_id": APPROVAL}
    desk.says("POST /tasks", answer)
    words = ("--type", "bugfix", "--payload", f"@{tmp_path}/p.json", "--priority", "P1", "--source", "github", "--sla", "60")
    code, out, _ = trunkline("tasks", "create", *words, "--metadata", '{"repo": "a/b"}', "--parent", TASK, "--idempotency-key", "k1")
    assert (code, out.splitlines()[:2]) == (0, [TASK, answer["message"]])
    assert f"approve {APPROVAL}" in out and f"watch {TASK}" in out
    body = {"type": "bugfix", "payload": {"issue": "7"}, "priority": "P1", "source": "github", "sla_target": 60}
    assert desk.asked[0].body == {**body, "metadata": {"repo": "a/b"}, "parent_task_id": TASK}
    assert desk.asked[0].headers["Idempotency-Key"] == "k1"
    assert json.loads(trunkline("tasks", "create", "--type", "x", "--payload", "{}", "--json")[1]) == answer
    assert desk.asked[1].body == {"type": "x", "payload": {}} and len(desk.asked[1].headers["Idempotency-Key"]) == 32


def test_what_is_suggested_leads_to_the_same_gateway(
    desk: Desk, trunkline: Trunkline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = f" --url {desk.url} --data-dir {tmp_path}"
    desk.says("POST /tasks", {"success": True, "task_id": TASK, "approval_id": APPROVAL})
    desk.says(f"POST /tasks/{TASK}/continue", {"success": True, "task_id": TASK})
    desk.says(f"POST /tasks/{TASK}/messages", {"success": True, "message_id": "m1"})
    desk.says("POST /api/pr-agent/execute", {"jobId": JOB})
    words = ("tasks", "create", "--type", "x", "--payload", "{}")
    suggested = {
        f"watch {TASK}": (words,),
        f"watch {HEX}": (("continue", TASK, "go on"),),
        f"approve {APPROVAL}": (words,),
        f"messages {TASK}": (("send", TASK, "hello"),),
        f"watch {JOB}": (("run", "acme/shop", "fix it"),),
        f"cancel {JOB}": (("run", "acme/shop", "fix it"),),
    }
    for suggestion, commands in suggested.items():
        for command in commands:
            assert f"{suggestion}{there}\n" in trunkline(*command)[1]
    monkeypatch.setenv("TRUNKLINE_URL", desk.url)
    assert f"watch {TASK} --data-dir" in trunkline(*words)[1], "it goes there by itself"


def test_an_event_is_published_as_it_was_said(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("POST /events/publish", {"success": True, "event_type": "a.b", "message": "Event published successfully"})
    words = ("--payload", '{"n": 1}', "--task", TASK, "--trace", "t1", "--source", "me")
    assert trunkline("events", "publish", "a.b", *words)[:2] == (0, "a.b: Event published successfully\n")
    assert desk.asked[0].body == {"event_type": "a.b", "source_agent": "me", "payload": {"n": 1}, "task_id": TASK, "trace_id": "t1"}
    assert json.loads(trunkline("events", "publish", "a.b", "--json")[1])["success"] is True
    assert desk.asked[1].body == {"event_type": "a.b", "source_agent": "trunkline-cli", "payload": {}}


def test_a_decision_carries_its_reason_and_the_digest_of_what_was_shown(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"POST /approvals/{APPROVAL}/approve", {"success": True, "approval_id": APPROVAL, "message": "Approved by ann"})
    code, out, err = trunkline("approve", APPROVAL, "--reason", "fine", "--digest", "AB" * 32)
    assert (code, out, err) == (0, f"{APPROVAL}: Approved by ann\n", "")
    assert desk.asked[0].body == {"reason": "fine", "digest": "ab" * 32}


def test_one_that_was_decided_already_does_not_keep_the_others_from_being_decided(desk: Desk, trunkline: Trunkline) -> None:
    gone, theirs = f"{APPROVAL}_a", f"{APPROVAL}_b"
    desk.says(f"POST /approvals/{gone}/reject", {"detail": "Approval not found or decided already"}, 404)
    desk.says(f"GET /approvals/{gone}", {"success": True, "approval": {"approval_id": gone, "status": "rejected"}})
    desk.says(f"POST /approvals/{theirs}/reject", {"detail": "You may not decide your own request"}, 403)
    desk.says(f"POST /approvals/{APPROVAL}/reject", {"success": True, "approval_id": APPROVAL, "message": "Rejected by ann"})
    code, out, err = trunkline("reject", gone, theirs, "no-approval", APPROVAL, gone, "--reason", "no")
    assert (code, out) == (2, f"{APPROVAL}: Rejected by ann\n")
    assert [line.partition(":")[0] for line in err.splitlines()] == [gone, theirs, "no-approval"]
    code, out, _ = trunkline("reject", gone, APPROVAL, "--reason", "no", "--json")
    assert (code, [each["success"] for each in json.loads(out)["decisions"]]) == (1, [False, True])


NOBODY = "0" * 32
UNKNOWN = (
    ["cancel", f"task_{NOBODY}"], ["cancel", NOBODY], ["watch", f"task_{NOBODY}"], ["tasks", f"task_{NOBODY}"], ["pause", f"task_{NOBODY}"],
    ["interrupt", f"task_{NOBODY}"], ["resume", f"task_{NOBODY}"], ["send", f"task_{NOBODY}", "hello"], ["messages", f"task_{NOBODY}"],
    ["continue", f"task_{NOBODY}", "more"], ["fork", f"task_{NOBODY}", "else"], ["approvals", f"approval_{NOBODY}"],
    ["approve", f"approval_{NOBODY}"], ["reject", f"approval_{NOBODY}", "--reason", "no"], ["approve", "no-approval"],
    ["trace", "nothing"], ["schedules", "show", f"sch_{NOBODY}"], ["schedules", "delete", f"sch_{NOBODY}"],
    ["webhooks", "show", f"wh_{NOBODY}"], ["webhooks", "remove", f"wh_{NOBODY}"], ["letters", "show", "dl_1"],
    ["sandboxes", "show", "none"], ["sandboxes", "stop", "none"],
)  # fmt: skip


@pytest.mark.parametrize("words", UNKNOWN, ids=lambda words: " ".join(words[:2]).replace(NOBODY, "0"))
def test_a_missing_id_is_one_exit_code_for_every_command(words: list[str], desk: Desk, trunkline: Trunkline) -> None:
    code, out, err = trunkline(*words)
    assert (code, out) == (2, ""), err
    assert len(err.split()) > 3


@pytest.mark.parametrize(("status", "code"), [(403, 2), (409, 2), (400, 2), (503, 3)])
def test_a_refused_decision_has_the_exit_code_of_every_refusal(status: int, code: int, desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"POST /approvals/{APPROVAL}/approve", {"detail": "not by you"}, status)
    assert trunkline("approve", APPROVAL)[0] == code


def test_what_was_decided_is_said_though_nobody_is_there_for_the_rest(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"POST /approvals/{APPROVAL}/approve", {"success": True, "approval_id": APPROVAL, "message": "Approved by ann"})
    desk.says(f"POST /approvals/{APPROVAL}_b/approve", {"detail": "away"}, 503)
    code, out, err = trunkline("approve", APPROVAL, f"{APPROVAL}_b", "--json")
    assert (code, err) == (3, "trunkline: away.\n")
    assert [each["approval_id"] for each in json.loads(out)["decisions"]] == [APPROVAL]


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["--for-run"], {"scope": "run"}),
        (["--rule", "Bash: make *"], {"scope": "run", "rule": {"tool": "Bash", "argument": "make *"}}),
        (["--for-run", "--rule", "Write: *"], {"scope": "run", "rule": {"tool": "Write", "argument": "*"}}),
        (["--rule", "Bash:git log --format=a:b"], {"scope": "run", "rule": {"tool": "Bash", "argument": "git log --format=a:b"}}),
        (["--input", '{"command": "make"}'], {"input": {"command": "make"}}),
        (["--usd", "2.5", "--reason", "go on"], {"reason": "go on", "usd": 2.5}),
    ],
)
def test_a_yes_may_hold_more_than_yes(words: list[str], body: dict[str, Any], desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"POST /approvals/{APPROVAL}/approve", {"success": True, "approval_id": APPROVAL, "message": "Approved by ann"})
    assert trunkline("approve", APPROVAL, *words)[0] == 0
    assert desk.asked[0].body == body


def test_what_may_run_instead_can_lie_in_a_file(desk: Desk, trunkline: Trunkline, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"command": "make check"}')
    desk.says(f"POST /approvals/{APPROVAL}/approve", {"success": True, "approval_id": APPROVAL, "message": "Approved by ann"})
    assert trunkline("approve", APPROVAL, "--input", f"@{tmp_path}/input.json")[0] == 0
    assert desk.asked[0].body == {"input": {"command": "make check"}}


@pytest.mark.parametrize(
    "words",
    [
        ["--rule", ": x"],
        ["--rule", "Bash"],
        ["--rule", "Bash:"],
        ["--input", "[1]"],
        ["--input", "{"],
        ["--usd", "nan"],
        ["--usd", "inf"],
        ["--usd", "-1"],
        ["--usd", "five"],
        [f"{APPROVAL}_b", "--usd", "1"],
        [f"{APPROVAL}_b", "--rule", "Bash: *"],
    ],
)
def test_what_makes_no_sense_is_not_even_sent(words: list[str], desk: Desk, trunkline: Trunkline) -> None:
    try:
        code = trunkline("approve", APPROVAL, *words)[0]
    except SystemExit as ended:  # argparse says what it cannot read
        code = int(str(ended.code))
    assert code == 2
    assert desk.asked == []


def test_one_approval_is_shown_in_full_with_what_would_run_and_how_to_allow_exactly_that(desk: Desk, trunkline: Trunkline) -> None:
    about = {"agent": "claude", "tool": "Bash", "input": {"command": "make\nls"}, "argument": "make\nls", "offers": ["once", "run"]}
    one = {"approval_id": APPROVAL, "task_id": TASK, "status": "pending", "kind": "tool_call", "digest": "ab" * 32, "about": about}
    desk.says(f"GET /approvals/{APPROVAL}", {"success": True, "approval": one})
    code, out, err = trunkline("approvals", APPROVAL)
    assert code == 0
    assert 'input\t{"command": "make\\nls"}' in out.splitlines()
    assert "argument\tmake\\nls" in out.splitlines()
    assert 'offers\t["once", "run"]' in out.splitlines()
    assert f"approve {APPROVAL} --digest {'ab' * 32}" in err
    assert json.loads(trunkline("approvals", APPROVAL, "--json")[1])["approval"] == one
    assert trunkline("approvals", "no-approval")[0] == 2


def test_a_refusal_without_a_reason_is_not_even_sent(desk: Desk, trunkline: Trunkline) -> None:
    assert trunkline("reject", APPROVAL)[0] == 2
    assert desk.asked == []


def test_a_short_limit_is_waited_out_and_a_long_one_is_said(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /tasks/{TASK}", {"detail": "Rate limit exceeded. Try again in 1 seconds."}, 429, Retry_After="1")
    desk.says(f"GET /tasks/{TASK}", {"success": True, "task_id": TASK, "task": task()})
    assert trunkline("tasks", TASK)[0] == 0
    desk.says("GET /approvals/pending", {"detail": "Rate limit exceeded. Try again in 45 seconds."}, 429, Retry_After="45")
    code, out, err = trunkline("approvals")
    assert (code, out, err) == (3, "", "trunkline: Rate limit exceeded. Try again in 45 seconds.\n")


@pytest.mark.parametrize("words", [["tasks"], ["approvals"], ["watch", TASK], ["approve", APPROVAL], ["events", "publish", "a.b"]])
def test_whoever_has_no_credential_is_told_what_to_do(
    words: list[str], desk: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRUNKLINE_TOKEN")
    code, out, err = trunkline(*words)
    assert (code, out) == (2, "")
    assert "A credential is needed. `trunkline token --subject NAME --role agent` mints a credential" in " ".join(err.split())


@pytest.mark.parametrize("word", ["nope", "task_", f"task_{HEX}0", "task_../approvals", f"{HEX}\n"])
@pytest.mark.parametrize("command", ["tasks", "watch", "cancel"])
def test_what_is_no_id_is_said_to_be_none_and_nobody_is_asked(command: str, word: str, desk: Desk, trunkline: Trunkline) -> None:
    code, out, err = trunkline(command, word)
    assert (code, out, desk.asked) == (2, "", [])
    assert "There is no task" in err


@pytest.mark.parametrize(
    ("before", "cancelled", "after", "said", "code"),
    [
        ("assigned", 200, "", "is being stopped", 0),
        ("completed", 200, "", "is over already: it succeeded", 1),
        ("assigned", 409, "cancelled", "is over already: it was cancelled", 1),
    ],
    ids=["it waits", "it succeeded", "it ended meanwhile"],
)
def test_a_task_is_cancelled(before: str, cancelled: int, after: str, said: str, code: int, desk: Desk, trunkline: Trunkline) -> None:
    for status in filter(None, (before, after)):
        desk.says(f"GET /tasks/{TASK}", {"success": True, "task": task(status=status)})
    desk.says(f"POST /tasks/{TASK}/cancel", {"detail": "it is over"}, cancelled)
    found, out, _ = trunkline("cancel", TASK, "--reason", "no need")
    assert (found, said in out) == (code, True)


STORY = [
    frame(0, "task.created", {"type": "bugfix", "priority": "P1", "created_by": "ann"}),
    frame(1, "task.approval_required", {"approval_id": APPROVAL, "reasons": ["P1 is held"]}),
    frame(2, "task.completed", {}, published_by="eve", source_agent="dev_agent"),
    frame(3, "task.released", {"by": "bob"}),
    frame(4, "task.in_progress", {"attempt": 1, "by": "dev-agent-1"}),
]
COMPLETED = frame(5, "task.completed", {"status": "completed", "result": None})


def test_a_timeline_is_followed_over_breaks_to_its_end(desk: Desk, trunkline: Trunkline) -> None:
    path = f"GET /tasks/{TASK}/events"
    desk.says(path, [": open\n\n", *STORY[:2], STORY[2][:40]])
    desk.says(path, {"detail": "the gateway starts"}, 503)
    desk.says(path, [": open\n\n", *STORY[2:], COMPLETED, frame(6, "never.seen")])
    code, out, _ = trunkline("watch", TASK)
    assert code == 0
    assert [line.split()[2] for line in out.splitlines()] == ["created", "held", "event", "released", "started", "done"]
    assert [asked.headers.get("Last-Event-ID") for asked in desk.asked] == [None, "e-1", "e-1"]
    assert "\x1b" not in out


@pytest.mark.parametrize(("end", "code"), [("task.failed", 1), ("task.cancelled", 1), ("task.completed", 0)])
def test_the_exit_code_tells_how_it_ended(end: str, code: int, desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /tasks/{TASK}/events", [*STORY, frame(5, end, {"error": "It broke.", "reason": "no need"})])
    assert trunkline("watch", TASK)[0] == code


def test_json_is_one_event_a_line(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /tasks/{HEX}/events", [*STORY, COMPLETED])
    code, out, _ = trunkline("watch", HEX, "--json")
    events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert (code, [event["id"] for event in events]) == (0, [f"e-{n}" for n in range(6)])
    assert events[1]["payload"]["approval_id"] == APPROVAL


def test_a_task_that_is_not_there_is_said_at_once(desk: Desk, trunkline: Trunkline) -> None:
    assert trunkline("watch", TASK)[0] == 2
    assert len(desk.asked) == 1


JOB = f"{HEX[:8]}-{HEX[8:12]}-{HEX[12:16]}-{HEX[16:20]}-{HEX[20:]}"
JOB_STORY = [
    'id: e-1\ndata: {"type": "status", "timestamp": "2026-01-01T00:00:00Z", "status": "pending", "message": "Queued"}\n\n',
    'id: e-2\ndata: {"type": "error", "timestamp": "2026-01-01T00:00:01Z", "error": "It broke."}\n\n',
]


def test_a_key_that_is_another_gateways_makes_nobody_blind_to_jobs_of_strangers(
    desk: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNKLINE_TOKEN", "j" * 32)
    assert trunkline("watch", JOB)[0] == 2
    desk.open.add(f"/api/pr-agent/{JOB}/stream")
    desk.says(f"GET /api/pr-agent/{JOB}/stream", JOB_STORY)
    code, out, _ = trunkline("watch", JOB)
    assert (code, [line.split()[2] for line in out.splitlines()]) == (1, ["pending", "failed"])
    assert "`trunkline token" in trunkline("watch", f"task_{HEX}")[2]


def test_whoever_has_no_credential_sees_a_job_by_its_own_stream(desk: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUNKLINE_TOKEN")
    desk.open.add(f"/api/pr-agent/{JOB}/stream")
    desk.says(f"GET /api/pr-agent/{JOB}/stream", JOB_STORY)
    code, out, _ = trunkline("watch", JOB, "--json")
    assert (code, [json.loads(line)["type"] for line in out.splitlines()]) == (1, ["status", "error"])
    assert [asked.path for asked in desk.asked] == [f"/api/pr-agent/{JOB}/stream"]


def test_a_credential_may_be_in_a_file(desk: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TRUNKLINE_TOKEN")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    desk.says(f"GET /tasks/{TASK}", {"success": True, "task_id": TASK, "task": task()})
    assert trunkline("tasks", TASK, "--token-file", str(tmp_path / "token"))[0] == 0


def test_a_place_that_is_lost_is_said_and_the_rest_is_shown(desk: Desk, trunkline: Trunkline) -> None:
    gap = frame(9, "gap", {"message": "It is lost."}).replace("id: e-9\n", "")  # it bears the moment at which it was told
    desk.says(f"GET /tasks/{TASK}/events", [gap, *STORY, COMPLETED])
    code, out, _ = trunkline("watch", TASK)
    lost, first, *_ = out.splitlines()
    assert (code, "It is lost." in lost, len(out.splitlines())) == (0, True, 7)
    assert first.split()[:2] == ["0.00", "s"], "what follows is counted from its own beginning"
