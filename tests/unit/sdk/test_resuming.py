"""A stream knows what it has seen, and for how long it is worth trying."""

from __future__ import annotations

import pytest

from trunkline.sdk.answering import Answer
from trunkline.sdk.resuming import Place, Trying, comes_back
from trunkline.sdk.retrying import Patience


def test_what_was_seen_does_not_pass_again_and_what_is_new_does() -> None:
    place = Place("k3v9-2")
    told = ["k3v9-1", "k3v9-2", "k3v9-2.1", "k3v9-2.1", "k3v9-10", "k3v9-9", "k3v9-10.2"]
    assert [id for id in told if place.passes(id)] == ["k3v9-2.1", "k3v9-10", "k3v9-10.2"]
    assert place.seen == "k3v9-10.2"


def test_what_has_no_id_always_passes_and_moves_nothing() -> None:
    place = Place("k3v9-2")
    assert place.passes("")
    assert place.seen == "k3v9-2"


def test_another_log_begins_anew() -> None:
    place = Place("k3v9-200")
    assert place.passes("z1-1")
    assert place.seen == "z1-1"


def test_after_a_gap_everything_is_told_again() -> None:
    place = Place("k3v9-200")
    place.lost()
    assert place.passes("k3v9-1")


def test_ids_of_another_form_are_told_apart_by_being_equal() -> None:
    place = Place("42")
    assert not place.passes("42")
    assert place.passes("41")


def test_trying_ends_after_too_long_without_anything_to_show() -> None:
    trying = Trying(Patience(), silence=10)
    now, waited = 100.0, []
    while (seconds := trying.pause(now, None, 1.0)) is not None:
        waited.append(seconds)
        now += seconds
    assert waited == sorted(waited)
    assert now <= 110


def test_an_event_makes_trying_as_good_as_new_and_so_does_a_connection_that_held() -> None:
    trying = Trying(Patience(), silence=10)
    trying.pause(100.0, None, 1.0)
    trying.lived(100.0, 100.1, events=0)
    assert trying.failures == 1
    trying.lived(100.0, 100.1, events=1)
    assert (trying.failures, trying.since) == (0, None)
    trying.pause(200.0, None, 1.0)
    trying.lived(200.0, 206.0, events=0)
    assert trying.failures == 0


def test_a_stream_honours_retry_after() -> None:
    assert Trying(Patience(), silence=300).pause(0.0, Answer(429, {"retry-after": "20"}), 0.0) == 20
    assert Trying(Patience(), silence=10).pause(0.0, Answer(429, {"retry-after": "20"}), 0.0) is None


@pytest.mark.parametrize(
    ("status", "again"), [(429, True), (500, True), (503, True), (400, False), (401, False), (404, False), (302, False)]
)
def test_only_passing_trouble_is_tried_again(status: int, again: bool) -> None:
    assert comes_back(Answer(status)) is again
