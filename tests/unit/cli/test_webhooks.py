"""Webhooks from the command line, against a gateway that speaks as its document says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.cli.desk import TASK, Desk

Trunkline = Callable[..., tuple[int, str, str]]
HOOK = f"wh_{'a' * 32}"
SENT = f"dlv_{'b' * 40}"
URL = "https://example.com/hook"
AT = "2026-01-01T00:00:00Z"
NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def hook(**more: Any) -> dict[str, Any]:
    told = {"webhook_id": HOOK, "url": URL, "events": ["job.completed", "task.*"], "status": "active", "owner": "root", "created_at": AT}
    return {**told, "reason": None, "secret_hint": "…LaSw", **more}


def delivery(id: str = SENT, **more: Any) -> dict[str, Any]:
    told = {"delivery_id": id, "webhook_id": HOOK, "event": "job.completed", "task_id": TASK, "status": "delivered", "tries": 1}
    return {**told, "last_answer": "204", "created_at": AT, **more}


def made(secret: str | None = NEW, **more: Any) -> dict[str, Any]:
    return {"success": True, "message": "Webhook made", "webhook_id": HOOK, "webhook": hook(status="pending"), "secret": secret, **more}


def test_a_webhook_is_made_and_its_secret_is_said_once_alone_on_its_line(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("POST /webhooks", made(), 201)
    code, out, err = trunkline("webhooks", "add", URL, "--events", "job.completed, task.*")
    assert (code, out.splitlines()) == (0, [HOOK, NEW])
    assert "never shown again" in err and NEW not in err
    (asked,) = desk.asked
    assert (asked.body, "Idempotency-Key" in asked.headers) == ({"url": URL, "events": ["job.completed", "task.*"]}, True)


def test_what_is_not_said_is_when_jobs_end(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("POST /webhooks", made(), 201)
    assert trunkline("webhooks", "add", URL)[0] == 0
    assert desk.asked[0].body["events"] == ["job.completed", "job.failed"]


def test_a_secret_comes_from_a_variable_and_is_printed_nowhere(desk: Desk, trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "a secret of my own, long enough")
    desk.says("POST /webhooks", made(None), 201)
    code, out, err = trunkline("webhooks", "add", URL, "--secret-from", "HOOK_SECRET")
    assert (code, out.splitlines(), desk.asked[0].body["secret"]) == (0, [HOOK], "a secret of my own, long enough")
    assert "secret of my own" not in out + err


def test_a_variable_that_is_not_set_is_said_to_be_so_and_nobody_is_asked(desk: Desk, trunkline: Trunkline) -> None:
    code, _, err = trunkline("webhooks", "add", URL, "--secret-from", "NO_SUCH_VARIABLE_AT_ALL")
    assert (code, desk.asked) == (2, [])
    assert "NO_SUCH_VARIABLE_AT_ALL" in err


def test_webhooks_are_listed_one_a_line_and_nothing_of_them_drives_the_terminal(desk: Desk, trunkline: Trunkline) -> None:
    hooks = [hook(), hook(webhook_id=f"wh_{'c' * 32}", url="https://x.test/\x1b[2J", status="disabled", owner="ann")]
    desk.says("GET /webhooks", {"success": True, "count": 2, "total": 2, "webhooks": hooks})
    code, out, _ = trunkline("webhooks")
    first, second = (line.split("\t") for line in out.splitlines())
    assert (code, first[:5]) == (0, [HOOK, "active", URL, "job.completed task.*", "root"])
    assert second[1:5:3] == ["disabled", "ann"] and "\x1b" not in out


def test_of_one_that_is_not_told_the_list_says_why(desk: Desk, trunkline: Trunkline) -> None:
    hooks = [hook(status="disabled", disabled_by="gone", problem="it answered 410: it wants nothing more")]
    desk.says("GET /webhooks", {"success": True, "count": 1, "total": 1, "webhooks": hooks})
    assert trunkline("webhooks")[1].rstrip().endswith("\tit answered 410: it wants nothing more")


def test_a_webhook_is_changed_in_what_is_named_and_enabled_again(desk: Desk, trunkline: Trunkline) -> None:
    for _ in range(2):
        desk.says(f"PATCH /webhooks/{HOOK}", {"success": True, "message": "Webhook changed", "webhook": hook()})
    assert trunkline("webhooks", "change", HOOK, "--enable")[:2] == (0, "Webhook changed\n")
    assert trunkline("webhooks", "change", HOOK, "--to", URL, "--events", "*, job.failed", "--description", "", "--disable")[0] == 0
    whole = {"url": URL, "events": ["*", "job.failed"], "description": "", "enabled": False}
    assert [asked.body for asked in desk.asked] == [{"enabled": True}, whole]
    assert trunkline("webhooks", "change", HOOK)[0] == 2
    assert len(desk.asked) == 2


def test_a_delivery_is_shown_a_line_for_each_try_and_both_sides_of_the_last(desk: Desk, trunkline: Trunkline) -> None:
    tries = [{"at": AT, "status": 500, "error": "it answered 500", "took_ms": 3}, {"at": AT, "status": None, "error": "no answer"}]
    answer = {"status": 500, "headers": {"server": "x"}, "body": "n\x1b[2Jo", "cut": True}
    sent = {"url": URL, "headers": {"webhook-id": SENT}, "body": '{"type": "job.completed"}', "cut": False}
    desk.says(f"GET /webhooks/{HOOK}/deliveries/{SENT}", {"delivery": delivery(request=sent, answer=answer, attempts=tries)})
    out = trunkline("webhooks", "show", HOOK, SENT)[1].splitlines()
    assert f"try 1\t{AT}  500  3 ms  it answered 500" in out
    assert f"try 2\t{AT}  ? ms  no answer" in out
    assert {f"sent\t{URL}", f"sent webhook-id\t{SENT}", 'sent body\t{"type": "job.completed"}', "answered\t500"} <= {*out}
    assert "answered cut\tthere is more of the body" in out and "\x1b" not in "".join(out)


def test_without_any_the_way_to_one_is_told(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("GET /webhooks", {"success": True, "count": 0, "total": 0, "webhooks": []})
    code, out, err = trunkline("webhooks")
    assert (code, out) == (0, "") and "webhooks add URL" in err


def test_one_is_shown_and_one_delivery_of_it(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /webhooks/{HOOK}", {"success": True, "webhook": hook()})
    tries = [{"at": AT, "status": 500, "error": None, "took_ms": 3, "answer": "no\x1b[2J"}]
    desk.says(f"GET /webhooks/{HOOK}/deliveries/{SENT}", {"success": True, "delivery": delivery(request="{}", attempts=tries)})
    assert f"url\t{URL}" in trunkline("webhooks", "show", HOOK)[1]
    code, out, _ = trunkline("webhooks", "show", HOOK, SENT)
    assert (code, "500" in out, "\x1b" in out) == (0, True, False)
    assert json.loads(trunkline("webhooks", "show", HOOK, SENT, "--json")[1])["delivery"]["attempts"] == tries


def test_deliveries_are_listed_over_the_pages_with_their_filter(desk: Desk, trunkline: Trunkline) -> None:
    path = f"GET /webhooks/{HOOK}/deliveries"
    why = "2 tries failed within four days; at last it answered 500"
    pages = [[delivery(f"dlv_{n:040x}", status="dead", problem=why) for n in range(start, start + 2)] for start in (0, 2)]
    desk.says(path, {"success": True, "count": 2, "total": None, "deliveries": pages[0], "next_cursor": "more"})
    desk.says(path, {"success": True, "count": 2, "total": None, "deliveries": pages[1], "next_cursor": None})
    code, out, _ = trunkline("webhooks", "deliveries", HOOK, "--status", "dead", "--all")
    assert (code, [line.split("\t")[0] for line in out.splitlines()]) == (0, [f"dlv_{n:040x}" for n in range(4)])
    assert {line.split("\t")[-1] for line in out.splitlines()} == {why}
    assert [(asked.query["status"], asked.query.get("cursor")) for asked in desk.asked] == [("dead", None), ("dead", "more")]


def test_one_delivery_or_many_are_sent_again(desk: Desk, trunkline: Trunkline) -> None:
    told = {"success": True, "message": "1 on its way again", "webhook_id": HOOK, "count": 1}
    desk.says(f"POST /webhooks/{HOOK}/deliveries/{SENT}/redeliver", told, 202)
    desk.says(f"POST /webhooks/{HOOK}/redeliver", told, 202)
    assert trunkline("webhooks", "redeliver", HOOK, SENT)[:2] == (0, "1 on its way again\n")
    assert trunkline("webhooks", "redeliver", HOOK, "--since", AT, "--status", "delivered")[0] == 0
    assert trunkline("webhooks", "redeliver", HOOK)[0] == 0
    assert [asked.body for asked in desk.asked] == [{}, {"since": AT, "status": "delivered"}, {}]


def test_a_delivery_that_is_named_is_not_chosen_by_time(desk: Desk, trunkline: Trunkline) -> None:
    assert trunkline("webhooks", "redeliver", HOOK, SENT, "--since", AT)[0] == 2
    assert desk.asked == []


def test_a_secret_is_rotated_a_handshake_asked_for_and_a_webhook_removed(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"POST /webhooks/{HOOK}/rotate", made(message="Secret rotated"))
    desk.says(f"POST /webhooks/{HOOK}/verify", {"success": True, "message": "Handshake asked for", "webhook": hook()}, 202)
    desk.says(f"DELETE /webhooks/{HOOK}", {"success": True, "message": "Webhook removed", "webhook_id": HOOK})
    assert trunkline("webhooks", "rotate", HOOK)[1].splitlines() == [HOOK, NEW]
    assert trunkline("webhooks", "verify", HOOK)[1] == "Handshake asked for\n"
    assert trunkline("webhooks", "remove", HOOK)[1] == "Webhook removed\n"
    assert [asked.method for asked in desk.asked] == ["POST", "POST", "DELETE"]


@pytest.mark.parametrize("id", ["x", "../tasks", "wh_", "wh_123", f"{HOOK}?a=b"])
def test_what_can_be_no_webhook_is_asked_of_nobody(desk: Desk, trunkline: Trunkline, id: str) -> None:
    assert trunkline("webhooks", "show", id)[0] == 2
    assert trunkline("webhooks", "show", HOOK, "../x")[0] == 2
    assert desk.asked == []


def test_every_answer_comes_as_json_too(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("GET /webhooks", {"success": True, "count": 1, "total": 1, "webhooks": [hook()]})
    desk.says("POST /webhooks", made(), 201)
    desk.says(f"DELETE /webhooks/{HOOK}", {"success": True, "message": "Webhook removed", "webhook_id": HOOK})
    for words in (("webhooks",), ("webhooks", "add", URL), ("webhooks", "remove", HOOK)):
        assert json.loads(trunkline(*words, "--json")[1])["success"] is True


def test_a_refusal_is_said_in_the_gateways_words(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("POST /webhooks", {"detail": "url must begin with https"}, 400)
    code, _, err = trunkline("webhooks", "add", "http://example.com")
    assert (code, "url must begin with https" in err) == (2, True)
