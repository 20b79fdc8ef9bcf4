"""Dead letters from the command line, against a gateway that speaks as its document says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.desk import Desk

Trunkline = Callable[..., tuple[int, str, str]]
FIRST, SECOND = f"task.{'a' * 32}", "message.due-router-retry.17"
AT = "2026-01-01T00:00:00Z"


def letter(id: str = FIRST, **more: Any) -> dict[str, Any]:
    told = {"letter_id": id, "kind": id.partition(".")[0], "state": "open", "what": "deploy acme/shop", "code": "AGENT_FAILED"}
    return {**told, "why": "no entry", "tries": 2, "at": AT, "task_id": None, "editable": [], "handled": None, **more}


def page(*letters: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "count": len(letters), "total": len(letters), "letters": list(letters), "next_cursor": None}


def requeued(**more: Any) -> dict[str, Any]:
    return {"success": True, "message": "Requeued as task_b", "letter": letter(state="requeued"), **more}


def test_open_letters_are_listed_a_line_each(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("GET /dead-letters", page(letter(), letter(SECOND, code=None, why="KeyError: 'a\tb'")))
    code, out, _ = trunkline("letters", "--kind", "task", "--search", "entry")
    first, second = (line.split("\t") for line in out.splitlines())
    assert code == 0
    assert (first[0], first[2:]) == (FIRST, ["task", "deploy acme/shop", "AGENT_FAILED: no entry", "open"])
    assert second[0] == SECOND and len(second) == len(first), "a tab in a reason is none of ours"


def test_nothing_given_up_is_said_beside_the_output(desk: Desk, trunkline: Trunkline) -> None:
    desk.says("GET /dead-letters", page())
    code, out, err = trunkline("letters")
    assert (code, out) == (0, "") and "no such letter" in err


def test_one_letter_is_shown_with_its_body(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"GET /dead-letters/{FIRST}", {"success": True, "letter": letter(body={"prompt": "Fix it.\nNow."})})
    code, out, _ = trunkline("letters", "show", FIRST)
    assert code == 0 and "no entry" in out and "Fix it." in out


def test_an_edit_comes_from_a_file_and_is_sent_with_a_key(desk: Desk, trunkline: Trunkline, tmp_path: Path) -> None:
    (tmp_path / "edit.json").write_text('{"prompt": "Fix it, and say how."}')
    desk.says(f"POST /dead-letters/{FIRST}/requeue", requeued(), 202)
    code, out, _ = trunkline("letters", "requeue", FIRST, "--edit", str(tmp_path / "edit.json"))
    assert (code, out.strip()) == (0, "Requeued as task_b")
    (asked,) = desk.asked
    assert (asked.body, "Idempotency-Key" in asked.headers) == ({"edit": {"prompt": "Fix it, and say how."}}, True)


def test_of_many_each_is_said_and_one_that_was_refused_fails_the_command(desk: Desk, trunkline: Trunkline, tmp_path: Path) -> None:
    results = [
        {"letter_id": FIRST, "requeued": True, "made": "task_b", "code": None, "detail": None},
        {"letter_id": SECOND, "requeued": False, "made": None, "code": "LETTER_HANDLED", "detail": "it was requeued already"},
    ]
    said = {"success": True, "message": "1 requeued, 1 not", "count": 1, "failed": 1, "more": False, "results": results}
    desk.says("POST /dead-letters/requeue", said, 202)
    code, out, err = trunkline("letters", "requeue", FIRST, SECOND)
    assert code == 1 and "1 requeued, 1 not" in err
    assert out.splitlines() == [f"{FIRST}\ttask_b", f"{SECOND}\tit was requeued already"]
    (tmp_path / "edit.json").write_text('{"priority": "P1"}')
    assert trunkline("letters", "requeue", "--all", "--kind", "message", "--edit", str(tmp_path / "edit.json"), "--json")[0] == 1
    assert [asked.body for asked in desk.asked] == [
        {"ids": [FIRST, SECOND]},
        {"kind": "message", "limit": 100, "edit": {"priority": "P1"}},
    ]


def test_a_letter_is_put_aside_with_a_reason(desk: Desk, trunkline: Trunkline) -> None:
    desk.says(f"POST /dead-letters/{SECOND}/discard", {"success": True, "message": "Discarded", "letter": letter(SECOND)})
    code, out, _ = trunkline("letters", "discard", SECOND, "--reason", "long over", "--json")
    assert (code, json.loads(out)["message"], desk.asked[0].body) == (0, "Discarded", {"reason": "long over"})


@pytest.mark.parametrize(
    "words",
    [
        ("requeue",), ("requeue", "--all"), ("requeue", FIRST, "--all", "--kind", "task"),
        ("requeue", FIRST, "--edit", "/no/such/file"), ("show", "letter-1"), ("discard", "task_1", "--reason", "no"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_asks_nobody(desk: Desk, trunkline: Trunkline, words: tuple[str, ...]) -> None:
    code, _, err = trunkline("letters", *words)
    assert code != 0 and err
    assert desk.asked == []
