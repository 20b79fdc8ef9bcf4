"""Of many relays that answer in turn, `/health` tells the worst that is known."""

from __future__ import annotations

from trunkline.contracts.integrity import Integrity
from trunkline_gateway.adapters.readiness import REMEMBERED, Opinions


def test_one_relay_that_says_broken_is_not_talked_over_by_another() -> None:
    opinions = Opinions()
    assert opinions.worst("one", Integrity.WHOLE, 0) is Integrity.WHOLE
    assert opinions.worst("two", Integrity.BROKEN, 1) is Integrity.BROKEN
    assert opinions.worst("one", Integrity.WHOLE, 2) is Integrity.BROKEN
    assert opinions.worst("two", Integrity.WHOLE, 3) is Integrity.WHOLE


def test_a_relay_that_is_gone_is_forgotten() -> None:
    opinions = Opinions()
    opinions.worst("gone", Integrity.BROKEN, 0)
    assert opinions.worst("one", Integrity.WHOLE, REMEMBERED + 1) is Integrity.WHOLE
