"""What an owner remembers of its aggregates is bounded by what it weighs, and forgetting changes nothing."""

from __future__ import annotations

import pytest

from trunkline.bus import BusSettings, connect
from trunkline.contracts.message import Fact
from trunkline.contracts.task import EventPublished
from trunkline.runtime import actor
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline.testing.nats import nats_server

pytestmark = pytest.mark.flow


def said(before: int | None, wish: int) -> list[Fact]:
    return [EventPublished(event_type="a.b", by="ann", payload={"text": "x" * wish})]


async def test_large_states_give_way_long_before_there_are_many_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor, "CACHED_BYTES", 1 << 20)
    with nats_server() as server:
        async with connect(BusSettings(nats_url=server.url), "test") as bus:
            counting: Actor[int, int] = Actor(bus.log, said, lambda state, fact, at: (state or 0) + 1)
            for number in range(20):
                await counting.receive(f"evt.acme.t{number}.message", 200_000, now())
            assert 1 <= len(counting._known) <= 5
            assert [(await counting.receive(f"evt.acme.t{number}.message", 1, now())).state for number in range(20)] == [2] * 20
            assert counting._held == sum(known.size for known in counting._known.values())
