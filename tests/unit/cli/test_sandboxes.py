"""Named sandboxes from the command line, against a gateway that speaks as its document says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.cli.desk import TASK, TOKEN, Desk, frame, task
from trunkline.runtime.clock import now

Trunkline = Callable[..., tuple[int, str, str]]
BOX = f"sbx-{'a' * 32}"
JOB = "job_1732000000000_0123456789"
LISTED = "GET /api/sandbox/list"


def box(**more: Any) -> dict[str, Any]:
    at = now().timestamp() * 1000
    told = {
        "sandboxId": BOX,
        "status": "ready",
        "createdAt": at - 7200_000,
        "userId": "ann",
        "provider": "local",
        "isolation": "bubblewrap",
    }
    left = {"expiresAt": at + 2.5 * 86400_000, "idleAt": at + 630_000, "idleSeconds": 1800.0, "usedSeconds": 90.0}
    return {**told, **left, "image": "omni-snapshot-1", "labels": {}, "costUsd": None, "code": "", "error": "", **more}


def refused(code: str, message: str, **details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": details}}


def test_sandboxes_are_listed_one_a_line_with_what_is_left_of_their_lives(desk: Desk, trunkline: Trunkline) -> None:
    broken = box(sandboxId="sbx-2", status="error", userId="b\x1b[2Job", idleAt=None, image="", code="SANDBOX_VANISHED", error="it is gone")
    desk.says(LISTED, {"sandboxes": [box(), broken], "total": 2, "next": None})
    code, out, _ = trunkline("sandboxes", "--user", "ann", "--label", "team=core")
    first, second = (line.split("\t") for line in out.splitlines())
    assert (code, first) == (0, [BOX, "ann", "local", "ready", "omni-snapshot-1", "2h", "10m", "2d", "1.5", "-"])
    assert (second[1], second[3:5], second[6], second[9]) == ("bob", ["error", "-"], "-", "SANDBOX_VANISHED it is gone")
    assert desk.asked[0].query == {"userId": "ann", "label": "team=core", "limit": "50"}


def test_pages_are_put_together_and_the_rest_is_said(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(LISTED, {"sandboxes": [box()], "total": 3, "next": "c1"})
    desk.says(LISTED, {"sandboxes": [box(sandboxId="sbx-2")], "total": 3, "next": "c2"})
    code, out, err = trunkline("sandboxes", "--limit", "2")
    assert (code, len(out.splitlines())) == (0, 2) and "2 of 3 shown" in err
    assert [asked.query for asked in desk.asked] == [{"limit": "2"}, {"limit": "1", "cursor": "c1"}]


def test_where_there_is_none_it_is_said_how_one_is_made(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(LISTED, {"sandboxes": [], "total": 0, "next": None})
    assert "sandboxes create USER" in trunkline("sandboxes")[2]
    assert "Leave a filter out" in trunkline("sandboxes", "--status", "error")[2]


def test_one_is_made_as_it_is_wished_and_its_id_stands_alone(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("POST /api/sandbox/create", {"sandboxId": BOX, "status": "creating"})
    words = ["--provider", "e2b", "--label", "team=core", "--cpus", "1.5", "--no-egress", "--ttl", "3600", "--idle", "0", "--new"]
    code, out, err = trunkline("sandboxes", "create", "ann", *words)
    assert (code, out) == (0, f"{BOX}\n") and "It is creating." in err
    (asked,) = desk.asked
    chosen = {"userId": "ann", "provider": "e2b", "labels": {"team": "core"}, "cpus": 1.5, "egress": [], "reuse": False}
    assert asked.body == {**chosen, "ttlSeconds": 3600, "idleSeconds": 0.0} and "Idempotency-Key" in asked.headers
    trunkline("sandboxes", "create", "ann")
    assert desk.asked[1].body == {"userId": "ann"}, "what is not said is the installation's to choose"


def test_a_label_without_a_value_is_refused_and_nobody_is_asked(desk: Desk, trunkline: Trunkline) -> None:
    code, _, err = trunkline("sandboxes", "create", "ann", "--label", "core")
    assert (code, desk.asked) == (2, []) and "NAME=VALUE" in err


def test_one_is_shown_in_full(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(LISTED, {"sandboxes": [box(createdAt=1_732_000_000_000)], "total": 1, "next": None})
    code, out, _ = trunkline("sandboxes", "show", BOX)
    told = dict(line.split("\t") for line in out.splitlines())
    assert code == 0 and told["createdAt"] == "2024-11-19T07:06:40+00:00"
    assert (told["image"], told["idleLeft"], told["lifeLeft"]) == ("omni-snapshot-1", "10m", "2d")
    assert desk.asked[0].query["id"] == BOX
    assert json.loads(trunkline("sandboxes", "show", BOX, "--json")[1])["createdAt"] == 1_732_000_000_000


@pytest.mark.parametrize(("verb", "status"), [("start", "ready"), ("stop", "stopped"), ("delete", "deleted")])
def test_one_is_told_something_and_how_it_stands_is_said(verb: str, status: str, desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"POST /api/sandbox/{verb}", {"sandboxId": BOX, "status": status})
    assert trunkline("sandboxes", verb, BOX)[:2] == (0, f"{BOX} is {status}.\n")
    assert desk.asked[0].body == {"sandboxId": BOX}


def test_what_is_no_sandbox_is_said_to_be_none_with_what_to_do(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(LISTED, {"sandboxes": [], "total": 0, "next": None})
    for words in (["show", BOX], ["show", "a.b"], ["delete", "../x"]):
        code, out, err = trunkline("sandboxes", *words)
        assert (code, out) == (2, "") and "There is no sandbox" in err and "`trunkline sandboxes`" in err


def test_a_refusal_of_this_surface_is_said_in_its_own_sentence(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("POST /api/sandbox/create", refused("RATE_LIMITED", "delete one first", reason="SANDBOX_CAP"), 429, Retry_After="60")
    desk.says("POST /api/sandbox/stop", refused("SANDBOX_NOT_READY", "wait until it is ready"), 409)
    assert trunkline("sandboxes", "create", "ann")[::2] == (3, "trunkline: delete one first.\n")
    assert trunkline("sandboxes", "stop", BOX)[::2] == (2, "trunkline: wait until it is ready.\n")


def test_an_api_key_may_stand_where_the_sdks_look_for_it(desk: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUNKLINE_TOKEN")
    monkeypatch.setenv("TRUNKLINE_API_KEY", TOKEN)
    desk.says("GET /webhooks", {"success": True, "count": 0, "total": 0, "webhooks": []})
    desk.says(LISTED, {"sandboxes": [], "total": 0, "next": None})
    assert [trunkline(words)[0] for words in ("webhooks", "sandboxes")] == [0, 0]
    monkeypatch.setenv("TRUNKLINE_TOKEN", "another" * 5)
    assert trunkline("webhooks")[0] == 2, "a token is more than a key"


def test_a_job_in_a_sandbox_is_replayed_and_shown_by_the_name_it_has_there(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /tasks/{JOB}", {"success": True, "task_id": TASK, "task": task(task_id=TASK)})
    desk.says(f"GET /tasks/{TASK}/events", [frame(1, "task.completed")])
    assert trunkline("replay", JOB, "--speed", "10")[0] == 0
    assert [asked.path for asked in desk.asked] == [f"/tasks/{JOB}", f"/tasks/{TASK}/events"]
    assert TASK in trunkline("tasks", JOB)[1]
