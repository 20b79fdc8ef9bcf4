"""What failed is asked again when that may help, cannot do a thing twice, and does not take too long."""

from __future__ import annotations

import pytest

from tests.each import each
from trunkline.sdk.answering import Answer, Lost, seconds_of
from trunkline.sdk.retrying import Patience, Tried, may_help, pause

ONCE = Tried("GET", 1)
DATE = "Fri, 21 Nov 2025 10:00:00 GMT"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_what_is_away_or_full_is_asked_again(method: str, status: int) -> None:
    assert may_help(method, Answer(status))


@each("status", [300, 302, 400, 401, 403, 404, 409, 413, 415, 422, 500, 501])
def test_what_was_refused_for_good_is_not(status: int) -> None:
    assert not may_help("POST", Answer(status))
    assert pause(Patience(), ONCE, Answer(status), 0.5) is None


def test_a_request_that_may_have_arrived_is_repeated_only_where_a_repeat_does_nothing_twice() -> None:
    broke, never_sent = Lost("the connection broke", sent=True), Lost("nobody listens there", sent=False)
    assert [may_help(method, broke) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")] == [True, True, True, False, False]
    assert all(may_help(method, never_sent) for method in ("GET", "POST", "PUT", "PATCH", "DELETE"))
    assert may_help("PATCH", Answer(503)) and not may_help("PATCH", Answer(502))


def test_the_repeat_of_a_post_waits_for_the_first_that_is_still_answered() -> None:
    assert may_help("POST", Answer(409, {"retry-after": "1"}))
    assert not may_help("POST", Answer(409))


def test_retry_after_is_honoured_and_never_undercut() -> None:
    for luck in (0.0, 0.5, 1.0):
        seconds = pause(Patience(), ONCE, Answer(429, {"retry-after": "7"}), luck)
        assert seconds is not None and 7 <= seconds <= 8


def test_a_limit_that_ends_too_late_is_told_at_once() -> None:
    assert pause(Patience(seconds=30), ONCE, Answer(429, {"retry-after": "3600"}), 0.0) is None
    assert pause(Patience(seconds=30), Tried("GET", 2, waited=25), Answer(429, {"retry-after": "6"}), 0.0) is None
    assert pause(Patience(seconds=0), ONCE, Answer(503), 0.0) is None


def test_waits_grow_up_to_a_limit_and_end() -> None:
    patience = Patience(tries=6, first=0.2, longest=5)
    waits = [pause(patience, Tried("GET", tries), Answer(503), 1.0) for tries in range(1, 7)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, None]
    assert patience.backoff(10_000, 1.0) == 5
    assert patience.backoff(3, 0.0) == 0.4


def test_a_gateway_that_is_away_is_waited_for_as_long_as_was_said_and_one_that_never_was_there_is_soon_told() -> None:
    def waits(met: bool) -> list[float]:
        found: list[float] = []
        broke = Lost("nobody listens there", sent=False)
        while (seconds := pause(Patience(), Tried("GET", len(found) + 1, sum(found), met), broke, 1.0)) is not None:
            found.append(seconds)
        return found

    assert 25 < sum(waits(met=True)) <= 30
    assert waits(met=False) == [0.2, 0.4]


@each(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "9" * 400}, 999999999.0),
        ({"retry-after": "Fri, 21 Nov 2025 10:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Fri, 21 Nov 2025 09:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Fri, 21 Nov 2025 10:00:30 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_of(headers) == seconds
