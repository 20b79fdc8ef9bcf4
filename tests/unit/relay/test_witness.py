"""The witness by itself, over a log that is a list and a book on disk: what it says when something is wrong, and when nothing is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.audit.books import compared
from trunkline.audit.book import CHECKPOINTS, LINKS, Imprint, open_book, read
from trunkline.audit.stretches import LINK
from trunkline.auth.audit_keys import audit_key
from trunkline.bus import Stored
from trunkline.bus.log_life import LogLife
from trunkline.contracts.integrity import GetIntegrity, Integrity, IntegrityView
from trunkline_relay.handlers import witness
from trunkline_relay.handlers.witness import Life, Witness

NOW = datetime(2026, 5, 1, tzinfo=UTC)
QUARTER = timedelta(days=90)
FIRST = LogLife("e1", b"", 1)


def records(count: int, at: datetime = NOW) -> list[Stored]:
    body = b'{"at":"%b","facts":[]}' % at.isoformat().encode()
    return [Stored(seq, f"evt.{'ab'[seq % 2]}.task.run", body) for seq in range(1, count + 1)]


@dataclass
class Listed:
    """A log whose records nobody adds to while it is followed."""

    records: Sequence[Stored]
    last: int

    async def follow(self, after: int) -> AsyncIterator[Stored]:
        async for stored in self.already(after):
            yield stored
        await asyncio.Event().wait()

    async def already(self, after: int) -> AsyncIterator[Stored]:
        for stored in self.records:
            if stored.seq > after:
                yield stored

    async def ends(self) -> tuple[int, int]:
        return (self.records[0].seq if self.records else self.last + 1), self.last


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It signs at once, and tries again at once."""
    monkeypatch.setattr(witness, "SEAL_WITHIN", 0.01)
    monkeypatch.setattr(witness, "AGAIN", 0.01)


@asynccontextmanager
async def watching(
    folder: Path, log: Listed, life: LogLife = FIRST, *, copy: Path | None = None
) -> AsyncIterator[Callable[[Integrity, int], Awaitable[IntegrityView]]]:
    """Gives what waits until the witness says so and has signed so far."""
    book = open_book(folder / "book", audit_key(folder / "key"), copy, Imprint("one", QUARTER))
    one = Witness(log, book, Life(life, QUARTER, "one@here", lambda: NOW))

    async def until(state: Integrity, sealed: int) -> IntegrityView:
        async with asyncio.timeout(20):
            while True:
                view = IntegrityView.model_validate((await one.get(GetIntegrity(tenant="-", at=NOW))).body)
                if view.state is state and view.sealed >= sealed:
                    return view
                await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(one.run())
        try:
            yield until
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def signed(folder: Path, count: int, *, copy: Path | None = None, at: datetime = NOW) -> None:
    async with watching(folder, Listed(records(count, at), count), copy=copy) as until:
        await until(Integrity.WHOLE, count)


async def test_a_book_that_cannot_be_written_is_said_and_what_waits_is_signed_for_once_it_can(tmp_path: Path) -> None:
    await signed(tmp_path, 10)
    links = tmp_path / "book" / LINKS
    async with watching(tmp_path, Listed(records(20), 20)) as until:
        links.rename(tmp_path / "links")
        links.mkdir()
        view = await until(Integrity.UNSIGNED, 10)
        assert "directory" in view.findings[0] and "place for its book" in view.said
        links.rmdir()
        (tmp_path / "links").rename(links)
        assert (await until(Integrity.WHOLE, 20)).findings == ()


async def test_whoever_stops_it_leaves_nothing_unsigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "SEAL_WITHIN", 60)
    async with watching(tmp_path, Listed(records(10), 10)) as until:
        assert (await until(Integrity.WHOLE, 0)).sealed == 0
    assert read(tmp_path / "book").seq == 10


async def test_a_book_that_begins_over_an_older_log_says_so_until_the_next_start(tmp_path: Path) -> None:
    old = Listed(records(10, NOW - timedelta(days=1)), 10)
    async with watching(tmp_path, old) as until:
        view = await until(Integrity.WHOLE, 10)
        assert view.findings == ("the book was begun at 2026-05-01 00:00:00 UTC, and the log went to record 10 already",)
    async with watching(tmp_path, old) as until:
        assert (await until(Integrity.WHOLE, 10)).findings == ()


@pytest.mark.parametrize("emptied", [(LINKS, CHECKPOINTS), (CHECKPOINTS,)])
async def test_a_book_that_somebody_emptied_is_no_whole_book(tmp_path: Path, emptied: Sequence[str]) -> None:
    await signed(tmp_path, 10, at=NOW - timedelta(days=1))
    for name in emptied:
        (tmp_path / "book" / name).write_bytes(b"")
    async with watching(tmp_path, Listed(records(10, NOW - timedelta(days=1)), 10)) as until:
        assert "held nothing any more" in (await until(Integrity.UNSIGNED, 10)).findings[0]


async def test_a_book_whose_link_was_changed_is_no_whole_book(tmp_path: Path) -> None:
    await signed(tmp_path, 10)
    links = tmp_path / "book" / LINKS
    whole = bytearray(links.read_bytes())
    whole[3 * LINK + 7] ^= 4  # 4 becomes 0
    links.write_bytes(whole)
    async with watching(tmp_path, Listed(records(20), 20)) as until:
        assert (await until(Integrity.BROKEN, 0)).findings == ("record 4 is what was written; the book's own link of it was changed",)


async def test_a_log_so_quiet_that_it_holds_nothing_any_more_is_whole(tmp_path: Path) -> None:
    await signed(tmp_path, 10, at=NOW - timedelta(days=91))
    async with watching(tmp_path, Listed([], 10)) as until:
        assert (await until(Integrity.WHOLE, 10)).findings == ()


async def test_what_comes_after_all_that_was_too_old_is_signed_for_as_ever(tmp_path: Path) -> None:
    await signed(tmp_path, 10, at=NOW - timedelta(days=91))
    async with watching(tmp_path, Listed(records(12)[10:], 12)) as until:
        assert (await until(Integrity.WHOLE, 12)).findings == ()


async def test_a_book_that_was_lost_is_missed_where_there_is_a_copy(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    await signed(tmp_path, 10, copy=copy)
    shutil.rmtree(tmp_path / "book")
    async with watching(tmp_path, Listed(records(10), 10), copy=copy) as until:
        assert "lost, or turned back" in (await until(Integrity.BROKEN, 0)).findings[0]


async def test_a_restore_is_told_as_one_and_its_own_book_and_copy_are_whole(tmp_path: Path) -> None:
    """The backup held records 1 to 4, and the book as far as that; then came others."""
    copy, after = tmp_path / "copy", LogLife("e2", b"", 1, (("e1", 4),))
    await signed(tmp_path / "backup", 4, copy=copy)
    shutil.copytree(tmp_path / "backup", tmp_path / "gone_on")
    await signed(tmp_path / "gone_on", 10, copy=copy)
    async with watching(tmp_path / "backup", Listed(records(6), 6), after, copy=copy) as until:
        await until(Integrity.WHOLE, 6)
    async with watching(tmp_path / "gone_on", Listed(records(6), 6), after) as until:
        assert (await until(Integrity.BROKEN, 0)).findings == (
            "each of the records 5 to 10 was written, and a backup from before it was restored",
        )


async def test_what_a_restore_brought_back_unsigned_is_signed_for_under_the_life_that_it_is_of(tmp_path: Path) -> None:
    after = LogLife("e2", b"", 1, (("e1", 4),))
    await signed(tmp_path, 2)
    for _ in range(2):  # and so it is at the next start
        async with watching(tmp_path, Listed(records(4), 4), after) as until:
            await until(Integrity.WHOLE, 4)


async def test_whoever_stops_it_while_it_cannot_write_finds_a_whole_book_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "SEAL_EVERY", 5)
    await signed(tmp_path, 10)
    links = tmp_path / "book" / LINKS
    async with watching(tmp_path, Listed(records(18), 18)) as until:
        links.rename(tmp_path / "links")
        links.mkdir()
        await until(Integrity.UNSIGNED, 10)
        links.rmdir()
        (tmp_path / "links").rename(links)
        # ended before it tries again
    await signed(tmp_path, 18)
    assert compared(read(tmp_path / "book"), [(each.seq, each.subject, each.body) for each in records(18)]) == []
