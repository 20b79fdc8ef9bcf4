"""A question to the bus is repeated for longer than nodes take to elect a leader, and not for ever."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from nats.js.errors import ServiceUnavailableError

from trunkline.bus import BusAway, patience
from trunkline.bus.patience import patiently

ELECTION = 9.0


@pytest.mark.parametrize(("lasts", "answered"), [(ELECTION, True), (60.0, False)])
async def test_refusals_are_borne_for_longer_than_an_election_takes_and_then_told_in_the_servers_words(
    monkeypatch: pytest.MonkeyPatch, lasts: float, answered: bool
) -> None:
    clock = SimpleNamespace(now=0.0)
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await real(0)

    async def ask() -> str:
        if clock.now < lasts:
            raise ServiceUnavailableError(code=503, description="no leader")
        return "answer"

    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(sleep=sleep))
    if answered:
        assert await patiently(ask) == "answer"
    else:
        with pytest.raises(BusAway, match="no leader"):
            await patiently(ask)
        assert clock.now < 15
