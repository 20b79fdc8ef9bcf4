"""What a gateway refuses reaches people as its own sentence, with what to do about it: pure."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from trunkline.contracts.errors import (
    Conflict,
    Denied,
    DomainError,
    Exhausted,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from trunkline_cli.console import UNREACHABLE, USAGE, complain
from trunkline_cli.refusals import refusal, waits


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (400, Invalid, "no."),
        (
            401,
            Unauthenticated,
            "no. `trunkline token --subject NAME --role agent` mints a credential; "
            "give it by TRUNKLINE_TOKEN, TRUNKLINE_API_KEY or --token-file.",
        ),
        (403, Denied, "no. Another credential may be allowed to: give it by TRUNKLINE_TOKEN, TRUNKLINE_API_KEY or --token-file."),
        (404, NotFound, "no."),
        (409, Conflict, "no."),
        (422, Invalid, "no."),
        (429, Exhausted, "no."),
        (503, Unavailable, "no."),
    ],
)
def test_a_refusal_keeps_its_sentence_and_says_what_to_do(status: int, kind: type[DomainError], said: str) -> None:
    for body in ({"detail": "no"}, {"error": "no.", "message": "no."}):
        found = refusal(status, body, "")
        assert (type(found), str(found)) == (kind, said)


@pytest.mark.parametrize("body", [None, "no", [], {}, {"detail": ""}])
def test_what_is_no_refusal_of_ours_has_no_sentence(body: JsonValue) -> None:
    assert refusal(404, body, "") is None


def test_a_refusal_does_not_drive_the_terminal() -> None:
    found = refusal(400, {"detail": "\x1b[2Jno", "code": "\x1b[2JX"}, "")
    assert found and (found.message, found.code) == ("no.", "X")


def test_only_a_short_limit_is_waited_out() -> None:
    limits = {after: refusal(429, {"detail": "later"}, after) for after in ("1", "5", "6", "", "0", "-1", "x", "9" * 30)}
    assert [after for after, found in limits.items() if found and waits(found)] == ["1", "5"]


def test_what_may_go_well_later_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    later, away, never = refusal(429, {"detail": "later"}, "40"), refusal(503, {"detail": "away"}, ""), refusal(404, {"detail": "none"}, "")
    assert [complain(found) for found in (later, away, never) if found] == [UNREACHABLE, UNREACHABLE, USAGE]
    assert capsys.readouterr().err.splitlines() == ["trunkline: later.", "trunkline: away.", "trunkline: none."]
