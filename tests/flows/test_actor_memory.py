"""What an owner remembers of its aggregates is bounded by what it weighs, and forgetting changes nothing."""

from __future__ import annotations

import asyncio

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


async def test_what_another_replica_decides_is_overheard_and_neither_loaded_nor_raced_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with nats_server() as server:
        settings = BusSettings(nats_url=server.url)
        async with connect(settings, "one") as here, connect(settings, "two") as there, asyncio.timeout(10):
            replicas = [Actor[int, int](bus.log, said, lambda state, fact, at: (state or 0) + 1) for bus in (here, there)]
            for bus, replica in zip((here, there), replicas, strict=True):
                await bus.log.overhear("evt.*.*.message", replica.overhear)
            loads: list[str] = []
            for bus in (here, there):
                monkeypatch.setattr(bus.log._direct, "read", lambda subject, *_: loads.append(subject))
            for number in range(10):
                decided = await replicas[number % 2].receive("evt.acme.t1.message", 1, now())
                assert decided.state == number + 1
                while replicas[(number + 1) % 2]._caught_up("evt.acme.t1.message").seq < decided.seq:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            assert loads == []


async def test_what_was_not_overheard_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor, "NEWS", 2)
    with nats_server() as server:
        async with connect(BusSettings(nats_url=server.url), "test") as bus, asyncio.timeout(10):
            writes, hears = (Actor[int, int](bus.log, said, lambda state, fact, at: (state or 0) + 1) for _ in range(2))
            await bus.log.overhear("evt.*.*.message", hears.overhear)
            for number in range(6):
                await writes.receive(f"evt.acme.t{number % 3}.message", 1 if number else actor.NEWS_BYTES, now())
            assert len(hears._news) <= 2
            assert [(await hears.receive(f"evt.acme.t{number}.message", 1, now())).state for number in range(3)] == [3] * 3
