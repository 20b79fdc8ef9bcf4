"""The witness: chains every record as it is stored, signs how far it is, and looks at each start whether the log is still what it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from trunkline.audit.book import Chained, Pages
from trunkline.audit.chain import GENESIS, digest, linked, tenant_of
from trunkline.audit.checking import Check, Finding, Kind
from trunkline.contracts.integrity import GetIntegrity, Integrity, IntegrityView
from trunkline.contracts.message import Accepted
from trunkline_relay.ports import AuditBook, History, Recorded

log = structlog.get_logger()

SEAL_EVERY: Final = 1000
SEAL_WITHIN: Final = 10.0
"""Seconds until what was stored is signed for, however little it is."""
AGAIN: Final = 5.0
SHARE: Final = 0.1
"""Of a core, that looking through the whole log at a start may take: it is done when it is done."""
STRETCH: Final = 256
MOST_TOLD: Final = 100
REMEDY: Final = "run `trunkline verify` for the whole of it, then `trunkline verify --accept REASON` to begin a new book; this one is kept"


@dataclass(frozen=True, slots=True)
class Life:
    """Of the log: its name, how long it keeps records, and what time it is."""

    epoch: str
    epoch_at: Callable[[int], str]
    """In which life a record was stored: a restore begins another, and goes on from the one before."""
    kept: timedelta
    now: Callable[[], datetime]


class Blind:
    """A witness that cannot keep a book, and says why."""

    def __init__(self, state: Integrity, why: str = "") -> None:
        self._view = IntegrityView(state=state, findings=(why,) if why else (), said=REMEDY if why else "")

    async def run(self) -> None:
        if self._view.findings:
            log.error("witness.book_is_damaged", why=self._view.findings[0], remedy=REMEDY)

    async def get(self, _: GetIntegrity) -> Accepted:
        return Accepted(seq=0, body=self._view.model_dump(mode="json"))


class Witness:
    def __init__(self, events: History, book: AuditBook, life: Life) -> None:
        self._events = events
        self._book = book
        self._life = life
        self._heads = dict(book.heads)
        self._chained = Chained()
        self._happened = life.now()
        self._newest: Recorded | None = None
        self._sealing = asyncio.Lock()
        self._view = IntegrityView(state=Integrity.CHECKING, sealed=book.seq)

    async def run(self) -> None:
        """For ever. What was found broken is said once, loudly; from then on nothing is signed, and the rest of the relay goes on."""
        pages = await asyncio.to_thread(self._book.pages)
        if found := await self._at_once(pages):
            self._broken(found)
            return
        async with asyncio.TaskGroup() as group:
            chaining = [group.create_task(self._chain()), group.create_task(self._seal_in_time())]
            if found := await self._through(pages):
                for each in chaining:
                    each.cancel()
                self._broken(found)

    async def get(self, _: GetIntegrity) -> Accepted:
        """How the log stands, as this replica knows it."""
        return Accepted(seq=self._view.sealed, body=self._view.model_dump(mode="json"))

    async def _at_once(self, pages: Pages) -> list[Finding]:
        """What needs no reading: another log, or one that ends before the book does."""
        if not pages.checkpoints:
            return []
        newest = pages.checkpoints[-1]
        if newest.epoch != self._life.epoch_at(newest.seq):
            return [Finding(Kind.REPLACED, newest.first, newest.seq, before=newest.at)]
        end = await self._events.last_seq()
        return [Finding(Kind.CUT, end + 1, newest.seq, before=newest.at)] if end < newest.seq else []

    async def _through(self, pages: Pages) -> list[Finding]:
        """Everything that was signed for, at a leisurely pace."""
        check = Check(pages, self._life.now() - self._life.kept + timedelta(hours=1))
        began = time.monotonic()
        async for stored in self._events.already(0):
            if stored.seq > pages.seq:
                break
            check.record(stored.seq, stored.subject, stored.body)
            if stored.seq % STRETCH == 0:
                await asyncio.sleep((time.monotonic() - began) * (1 - SHARE) / SHARE)
                began = time.monotonic()
        if not (found := check.end()):
            self._view = self._view.model_copy(update={"state": Integrity.WHOLE})
            log.info("witness.log_is_whole", compared=check.compared, sealed=pages.seq)
        return found

    def _broken(self, found: list[Finding]) -> None:
        told = tuple(str(each) for each in found[:MOST_TOLD])
        self._view = self._view.model_copy(update={"state": Integrity.BROKEN, "findings": told, "said": REMEDY})
        log.error("witness.log_is_broken", findings=len(found), first=told[0], remedy=REMEDY)

    async def _chain(self) -> None:
        async for stored in self._events.follow(self._book.seq):
            tenant, of_this = tenant_of(stored.subject), digest(stored.seq, stored.subject, stored.body)
            head = self._heads[tenant] = linked(self._heads.get(tenant, GENESIS), of_this)
            self._chained.heads[tenant] = head
            self._chained.add(stored.seq, of_this)
            self._newest = stored
            if len(self._chained) >= SEAL_EVERY:
                await self._seal()

    async def _seal_in_time(self) -> None:
        while True:
            await asyncio.sleep(SEAL_WITHIN)
            await self._seal()

    async def _seal(self) -> None:
        """Returns when it is on disk: nothing more is chained while it cannot be written, so that nothing piles up."""
        async with self._sealing:
            if not self._chained:
                return
            chained, self._chained = self._chained, Chained()
            if self._newest:
                with suppress(ValueError):  # where nobody can read it, the moment of the one before does
                    self._happened = self._newest.record.at
            while not await self._written(chained):  # noqa: ASYNC110  # nobody tells when a disk has room again
                await asyncio.sleep(AGAIN)

    async def _written(self, chained: Chained) -> bool:
        at = self._life.now()
        try:
            await asyncio.to_thread(self._book.seal, chained, self._life.epoch, at, self._happened)
        except OSError as error:
            log.error("witness.not_written", error=str(error), again_in_s=AGAIN)
            return False
        self._view = self._view.model_copy(update={"sealed": chained.seq, "at": at})
        return True
