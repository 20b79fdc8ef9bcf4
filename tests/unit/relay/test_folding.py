"""When what was stored becomes views: together with what comes next, unless somebody reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from tests.unit.relay.timelines import NOON, Line, line, submitted
from trunkline.telemetry.sampling import Sampler
from trunkline.telemetry.traces import Span, Tracer
from trunkline_relay.adapters.sqlite_views import SqliteViews, open_views
from trunkline_relay.handlers import fold_facts
from trunkline_relay.handlers.fold_facts import LARGEST_BATCH, SIP, Folding
from trunkline_relay.handlers.folding_spans import NEWS_S, FoldingSpans


@dataclass
class Log:
    """One that tests write."""

    fresh: asyncio.Queue[Line] = field(default_factory=asyncio.Queue)

    async def follow(self, after: int) -> AsyncIterator[Line]:
        while True:
            yield await self.fresh.get()

    async def last_seq(self) -> int:
        return 0

    def store(self, first: int, last: int) -> None:
        for seq in range(first, last + 1):
            self.fresh.put_nowait(line(seq, f"t{seq}", "task", submitted()))


@dataclass
class Reading:
    """Whoever reads, and how far the views are by what they are told."""

    behind: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[int] = field(default_factory=list)
    hears: asyncio.Event = field(default_factory=asyncio.Event)

    def advanced(self, folded: int) -> None:
        self.told.append(folded)
        self.behind.clear()
        self.hears.set()


@asynccontextmanager
async def folding(log: Log, readers: Reading) -> AsyncIterator[SqliteViews]:
    views = open_views(None, "k3v9", 0)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Folding(log, views, "k3v9", readers).run())
        yield views
        running.cancel()


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold_facts, "GATHER", 3600.0)


async def test_what_comes_one_by_one_is_folded_together_as_soon_as_somebody_reads() -> None:
    log, readers = Log(), Reading()
    async with folding(log, readers) as views:
        for seq in (1, 2, 3):
            log.store(seq, seq)
            await turns()
        assert (views.checkpoint, readers.told) == (0, [])

        readers.behind.set()
        await turns()

        assert (views.checkpoint, readers.told) == (3, [3])


async def test_nobody_has_to_read_for_what_was_stored_to_be_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold_facts, "GATHER", 0.001)
    log, readers = Log(), Reading()
    async with folding(log, readers) as views, asyncio.timeout(20):
        log.store(1, 1)
        await readers.hears.wait()
        assert views.checkpoint == 1


async def test_a_whole_batch_waits_for_nobody() -> None:
    log, readers = Log(), Reading()
    log.store(1, LARGEST_BATCH + 7)
    async with folding(log, readers) as views:
        await turns()
        assert views.checkpoint == LARGEST_BATCH


async def test_a_batch_that_is_whole_while_it_waits_waits_no_longer() -> None:
    log, readers = Log(), Reading()
    async with folding(log, readers) as views, asyncio.timeout(20):
        log.store(1, 1)
        await turns()
        assert views.checkpoint == 0
        log.store(2, LARGEST_BATCH + 9)
        await readers.hears.wait()
        assert views.checkpoint == LARGEST_BATCH


async def test_what_came_together_is_folded_in_sips_between_which_others_have_the_loop() -> None:
    log, readers = Log(), Reading()
    log.store(1, 3 * SIP - 1)
    async with folding(log, readers) as views, asyncio.timeout(20):
        readers.behind.set()
        while views.checkpoint < 3 * SIP - 1:
            readers.hears.clear()
            await readers.hears.wait()
            readers.behind.set()
        assert readers.told == [SIP, 2 * SIP, 3 * SIP - 1]


def test_folding_is_told_of_what_is_new_and_kept_and_not_of_a_rebuild_nor_of_what_nobody_can_read() -> None:
    told: list[Span] = []
    tell = FoldingSpans(Tracer("relay", Sampler(1.0, 0.0), told.append)).tell
    kept, not_kept = (f"00-{'4b' * 16}-{'0f' * 8}-{flags}" for flags in ("01", "00"))
    new, old, unread, unkept = (replace(line(seq, "t1", "task", submitted()), trace=kept) for seq in (1, 2, 3, 4))
    at = NOON.timestamp() + 1.25
    tell([new, replace(unread, body=b"{"), replace(unkept, trace=not_kept)], int(at * 1e9))
    tell([old], int((at + NEWS_S + 5) * 1e9))
    assert [(span.name, span.tenant, span.task, span.parent_id, span.attributes) for span in told] == [
        ("relay.fold", "acme", "t1", "0f" * 8, {"batch": 3, "waited_ms": 250})
    ]
