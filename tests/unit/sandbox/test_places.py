"""Notes of who has a place among the named sandboxes of a tenant."""

from __future__ import annotations

import pytest

from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.model.places import NOTED_S, WANTED_WITHIN_S, Place, counts, mark, read, still, untaken, written


def test_a_note_is_read_as_it_was_written_and_tells_nothing_of_its_user() -> None:
    places = {"sbx-1": Place(mark("ann@example.com"), 12.5)}
    body = written(places)
    assert read(body) == places and b"ann" not in body
    assert read(b"") == {}
    with pytest.raises((ValueError, TypeError, AttributeError)):
        read(b"[1]")


def test_a_note_counts_until_everybody_knows_the_sandbox() -> None:
    places = {"old": Place("u", 0), "new": Place("u", 1)}
    assert still(places, NOTED_S) == {"new": places["new"]}


def test_a_place_that_nobody_took_is_free_again() -> None:
    assert not untaken(Place("u", 0), WANTED_WITHIN_S - 1)
    assert untaken(Place("u", 0), WANTED_WITHIN_S)


def test_a_user_and_its_tenant_are_counted_apart() -> None:
    assert counts(["a", "b", "a"], "a") == (2, 3)
    caps = Caps(per_user=2, per_tenant=0)
    assert caps.full(2, 9) and not caps.full(1, 9)
