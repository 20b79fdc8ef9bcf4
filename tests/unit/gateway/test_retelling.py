"""What a channel said is told again as far apart as it was, page by page, and the log is not held while a reader waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline_gateway.ports import Passage
from trunkline_gateway.usecases.replay import LONGEST
from trunkline_gateway.usecases.retelling import PAGE, Past, Retelling
from trunkline_gateway.usecases.telling import Message, Place, Spoken

BEGAN = datetime(2025, 1, 12, tzinfo=UTC)
TENANT = TenantId("t")
ALL = frozenset({"odd", "even"})


@dataclass
class Log:
    """Records of two messages each, a second apart; the clock moves only where somebody waits, and then the log grows."""

    size: int
    grows: int = 0
    pause: float = 1.0
    time: float = 0.0
    told_records: list[int] = field(default_factory=list)
    passes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def all_recent(self, tenant: TenantId, after: Cursor) -> AsyncIterator[Passage]:
        for seq in range(after.seq + 1, self.size + 1):
            yield Passage(TaskId("x"), "task", Cursor("e", seq), tuple)

    def follow_all(self, tenant: TenantId, after: Cursor) -> AsyncIterator[Passage]:
        raise AssertionError("a replay follows nothing")

    async def newest(self) -> Cursor:
        return Cursor("e", self.size)

    async def before(self, moment: datetime) -> Cursor:
        return Cursor("e", 0)

    async def told(self, passage: Passage) -> tuple[Spoken, ...]:
        self.told_records.append(passage.at.seq)
        at = BEGAN + timedelta(seconds=self.pause * passage.at.seq)
        topic = "odd" if passage.at.seq % 2 else "even"
        return tuple(Spoken(Place(passage.at, number), at, Message(topic, "job", {})) for number in range(2))

    async def sleep(self, seconds: float) -> None:
        assert not self.passes.locked(), "others may read meanwhile"
        self.time += seconds
        if self.grows:
            self.size, self.grows = self.size + 1, self.grows - 1

    async def heard(self, past: Past) -> list[tuple[float, Place]]:
        """When each came, and which it was."""
        telling = Retelling(self, self, self.passes, lambda: self.time, self.sleep)
        return [(round(self.time, 6), spoken.place) async for spoken in telling.history(TENANT, past)]


def places(*seqs: int) -> list[Place]:
    return [Place(Cursor("e", seq), number) for seq in seqs for number in range(2)]


@pytest.mark.parametrize("size", [0, 1, PAGE // 2, PAGE // 2 + 1, 3 * PAGE + 5])
async def test_everything_is_told_once_and_no_record_is_told_of_twice(size: int) -> None:
    log = Log(size)
    heard = await log.heard(Past(Place(Cursor("e", 0)), ALL, 10))
    assert [place for _, place in heard] == places(*range(1, size + 1))
    assert log.told_records == list(range(1, size + 1))
    assert [when for when, _ in heard] == [round((place.cursor.seq - 1) / 10, 6) for _, place in heard]


async def test_it_begins_behind_a_message_in_the_middle_of_a_record() -> None:
    heard = await Log(5).heard(Past(Place(Cursor("e", 3), 0), ALL, 1))
    assert [place for _, place in heard] == places(3, 4, 5)[1:]
    assert heard[0][0] == 0


async def test_only_what_the_reader_hears_sets_the_pace() -> None:
    heard = await Log(6).heard(Past(Place(Cursor("e", 0)), frozenset({"even"}), 2))
    assert [(when, place.cursor.seq) for when, place in heard][::2] == [(0, 2), (1, 4), (2, 6)]


async def test_a_silent_night_counts_as_a_minute() -> None:
    heard = await Log(2, pause=36_000).heard(Past(Place(Cursor("e", 0)), ALL, 10))
    assert heard[-1][0] == LONGEST / 10


async def test_what_is_stored_while_it_is_told_is_told_too() -> None:
    log = Log(4, grows=9)
    heard = await log.heard(Past(Place(Cursor("e", 0)), ALL, 1))
    assert [place for _, place in heard] == places(*range(1, 14))
    assert log.told_records == list(range(1, 14))
