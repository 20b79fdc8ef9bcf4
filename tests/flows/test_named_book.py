"""What a replica remembers of named sandboxes saves it reading, and nothing depends on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from trunkline.bus import Bus, BusSettings, Loaded, Log, connect
from trunkline.bus.streams import EVENTS
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.record import Record
from trunkline.contracts.sandbox import SandboxTerms, SandboxTouched, SandboxWanted
from trunkline.runtime.clock import now
from trunkline.testing.nats import nats_server
from trunkline_sandbox.handlers import named_book
from trunkline_sandbox.handlers.named_book import ALL, Book, Key
from trunkline_sandbox.model.named import Effect, Phase
from trunkline_sandbox.model.named_cues import Delete, Done, Made, Start, Touch, Want
from trunkline_sandbox.model.named_deciding import Decide

pytestmark = pytest.mark.flow
WANTED = SandboxWanted(user="ann", provider="cloud", terms=SandboxTerms(), by="key")
TOUCHES = 300


@dataclass
class Counting:
    """The log, and how many records each reading of it gave."""

    log: Log
    read: list[int] = field(default_factory=list)

    async def load(self, subject: str, after: int = 0) -> Loaded:
        loaded = await self.log.load(subject, after)
        self.read.append(len(loaded.records))
        return loaded

    async def append(self, subject: str, record: Record, *, expect: int, id: str) -> int:
        return await self.log.append(subject, record, expect=expect, id=id)


@dataclass(frozen=True)
class Place:
    bus: Bus
    book: Book
    log: Counting

    async def ready(self, name: str) -> Key:
        key = Key("acme", SandboxId(name))
        for cue in (Want(WANTED), Made("m1", "none", ready=True)):
            await self.book.receive(key, cue, now())
        return key

    async def touched(self, key: Key, times: int) -> None:
        """By another replica."""
        record = Record(at=now(), cause="touch", facts=(SandboxTouched(),))
        for number in range(times):
            await self.bus.log.say(key.subject, record, id=f"{key.id}-{now().timestamp()}-{number}")


@pytest.fixture(scope="module")
def url() -> AsyncIterator[str]:
    with nats_server() as server:
        yield server.url  # type: ignore[misc]


@asynccontextmanager
async def place(url: str) -> AsyncIterator[Place]:
    async with connect(BusSettings(nats_url=url), "sandbox") as bus:
        log, ledger = Counting(bus.log), bus.ledger(EVENTS)
        book = Book(log, ledger, bus.heard(ledger, ALL), Decide({}))  # type: ignore[arg-type]  # a log to its last method
        await book.start()
        yield Place(bus, book, log)


async def test_a_look_reads_what_is_new_however_much_lies_there(url: str) -> None:
    async with place(url) as here:
        key = await here.ready("long")
        await here.touched(key, TOUCHES)
        await here.book.look(key)
        here.log.read.clear()
        for _ in range(3):
            await here.book.look(key)
        await here.touched(key, 2)
        named = await here.book.look(key)
        assert here.log.read == [1, 1, 1, 3]
        assert named == await _afresh(here, key)


async def test_what_is_decided_without_a_word_is_decided_on_what_is_new(url: str) -> None:
    async with place(url) as here:
        key = await here.ready("told")
        await here.touched(key, TOUCHES)
        await here.book.receive(key, Start("ann"), now())
        here.log.read.clear()
        await here.book.receive(key, Start("ann"), now())  # it is ready: nothing follows, which only the log can tell
        await here.book.receive(key, Touch(now()), now())
        assert here.log.read == [1, 1]


async def test_what_is_remembered_of_another_log_is_thrown_away(url: str) -> None:
    async with place(url) as here:
        key = await here.ready("other")
        known = here.book._known[key]
        broken = named_book._Known(known.seq + 1000, known.named)
        here.book._known[key] = broken
        await here.touched(key, 1)
        named = await here.book.look(key)
        assert named is not None and named == await _afresh(here, key)


async def test_deleted_ones_are_remembered_for_a_while_and_told_alike_after(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_book, "OVER", 2)
    async with place(url) as here:
        keys = [await here.ready(f"gone-{number}") for number in range(4)]
        for key in keys:
            await here.book.receive(key, Delete(), now())
            await here.book.receive(key, Done(Effect.DELETE, now()), now())
        assert (len(here.book._over), {*keys} & here.book._known.keys()) == (2, set())
        assert not {*keys} & dict(here.book.all()).keys()
        assert [named.phase for key in keys if (named := await here.book.look(key))] == [Phase.DELETED] * 4


async def _afresh(here: Place, key: Key) -> object:
    here.book._known.clear()
    return await here.book.look(key)
