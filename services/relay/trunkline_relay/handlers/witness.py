"""The witness: chains every record as it is stored, signs how far it is, and looks at each start whether the log is still what it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from trunkline.audit.book import SEAL, Book, Chained
from trunkline.audit.chain import GENESIS, digest, linked, tenant_of
from trunkline.audit.checking import Check, Finding, Kind
from trunkline.audit.lives import of_another_life, restored
from trunkline.bus.log_life import LogLife
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.integrity import GetIntegrity, Integrity, IntegrityView
from trunkline.contracts.message import Accepted
from trunkline_relay.ports import History, Recorded

log = structlog.get_logger()

SEAL_EVERY: Final = SEAL
SEAL_WITHIN: Final = 10.0
"""Seconds until what was stored is signed for, however little it is."""
AGAIN: Final = 5.0
SHARE: Final = 0.1
"""Of a core, that looking through the whole log at a start may take: it is done when it is done."""
STRETCH: Final = 256
MOST_TOLD: Final = 100
REMEDY: Final = "run `trunkline verify` for the whole of it, then `trunkline verify --accept REASON` to begin a new book; this one is kept"
WRITABLE: Final = (
    "give the relay a place for its book that it can write; nothing of what happens meanwhile is lost, but nobody has signed for it"
)
BEGUN: Final = (
    "nothing is to be done where this relay is new, was upgraded, or its last book was accepted or lost with its disk: the next start says "
    "nothing of it. Else somebody took the book away: compare the log with a backup or another relay's book"
)
EMPTIED: Final = (
    "somebody emptied it, unless the relay was killed within seconds of its very first record: compare the log with a backup or another "
    "relay's book; what is in the log now is signed for from here on, and the next start says nothing of it"
)
SLACK: Final = timedelta(minutes=1)
"""Of a log that is begun with its book, records may come before the witness has looked."""


@dataclass(frozen=True, slots=True)
class Life:
    """Of the log: which it is, how long it keeps records, who looks at it, and what time it is."""

    log: LogLife
    kept: timedelta
    relay: str
    now: Callable[[], datetime]


class Blind:
    """A witness that cannot keep a book, and says why."""

    def __init__(self, view: IntegrityView) -> None:
        self._view = view

    async def run(self) -> None:
        if self._view.findings:
            log.error("witness.has_no_book", why=self._view.findings[0], remedy=self._view.said)

    @property
    def view(self) -> IntegrityView:
        return self._view

    async def get(self, _: GetIntegrity) -> Accepted:
        return Accepted(seq=0, body=self._view.model_dump(mode="json"))


class Witness:
    def __init__(self, events: History, book: Book, life: Life) -> None:
        self._events = events
        self._book = book
        self._life = life
        self._heads = dict(book.heads)
        self._chained = Chained()
        self._happened = self._since = life.now()
        self._newest: Recorded | None = None
        self._sealing = asyncio.Lock()
        self._writing = False
        """Also where whoever waited for it is gone: two must never write at once."""
        self._unwritten, self._unread = "", ""
        """Why the book cannot be written, and why not everything could be looked at."""
        self._before = ""
        """What nobody had signed for when the book was begun, until the next start."""
        self._view = IntegrityView(state=Integrity.CHECKING, relay=life.relay, sealed=book.seq)

    async def run(self) -> None:
        """For ever; whoever ends it waits until what was chained is signed for. What was found broken is said once, loudly.

        From then on nothing is signed, and the rest of the relay goes on.
        """
        try:
            await self._watch()
        finally:
            behind = self._writing or self._unwritten  # what lies before this is not signed for, and would be missing
            if self._chained and not behind and self._view.state is not Integrity.BROKEN:
                await self._written(self._taken())

    async def _watch(self) -> None:
        if found := await self._looked(self._at_once):
            self._broken(found)
            return
        async with asyncio.TaskGroup() as group:
            chaining = [group.create_task(self._chain()), group.create_task(self._seal_in_time())]
            if found := await self._looked(self._through):
                for each in chaining:
                    each.cancel()
                self._broken(found)

    async def _looked(self, look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
        """Until it could be looked at: neither a disk nor a bus that is away says anything of the log."""
        while True:
            try:
                found = await look()
            except (OSError, Unavailable) as error:
                self._unread = str(error)
                log.warning("witness.cannot_look", error=self._unread, again_in_s=AGAIN)
                await asyncio.sleep(AGAIN)
            else:
                self._unread = ""
                return found

    @property
    def view(self) -> IntegrityView:
        """How the log stands, as this replica knows it."""
        view = self._view
        if self._unwritten and view.state is not Integrity.BROKEN:
            view = view.model_copy(update={"state": Integrity.UNSIGNED, "findings": (self._unwritten,), "said": WRITABLE})
        elif self._before and view.state is not Integrity.BROKEN:
            state, said = (Integrity.UNSIGNED, EMPTIED) if self._book.emptied else (view.state, BEGUN)
            view = view.model_copy(update={"state": state, "findings": (self._before,), "said": said})
        elif self._unread:
            view = view.model_copy(update={"said": f"it cannot be looked at for now: {self._unread}"})
        elif self._book.copy_problem and not view.said:
            view = view.model_copy(update={"said": f"the copy of the checkpoints lags behind: {self._book.copy_problem}"})
        return view

    async def get(self, _: GetIntegrity) -> Accepted:
        view = self.view
        return Accepted(seq=view.sealed, body=view.model_dump(mode="json"))

    async def _at_once(self) -> list[Finding]:
        """What needs no reading: a book that lacks what its copy has, another log, or one that ends before the book does."""
        life, (_, end), newest = self._life.log, await self._events.ends(), self._book.pages.last
        for lost in await asyncio.to_thread(self._book.lost):
            if not restored(lost, life):
                return [Finding(Kind.TURNED_BACK, min(self._book.pages.seq + 1, lost.seq), lost.seq, before=lost.at)]
        if newest is None:
            await self._begun(end)
            return []
        if elsewhere := of_another_life(newest, life):
            return [elsewhere]
        return [Finding(Kind.CUT, end + 1, newest.seq, before=newest.at)] if end < newest.seq else []

    async def _begun(self, end: int) -> None:
        """A new book says nothing of what was stored before it, and nobody is to take that for proven."""
        if not end:
            return
        log.warning("witness.book_begun", records=end, why="nobody signed for what was stored before")
        async for stored in self._events.already(0):
            if _moment(stored, self._since) < self._since - SLACK:
                what = "held nothing any more" if self._book.emptied else "was begun"
                self._before = f"the book {what} at {self._since:%Y-%m-%d %H:%M:%S} UTC, and the log went to record {end} already"
            break

    async def _through(self) -> list[Finding]:
        """Everything that was signed for, at a leisurely pace."""
        pages = self._book.pages
        check, count = Check(pages, pages.kept_since(self._life.now(), self._life.kept)), 0
        began = time.monotonic()
        async for stored in self._events.already(0):
            if stored.seq > pages.seq:
                break
            check.record(stored.seq, stored.subject, stored.body)
            count += 1
            if count % STRETCH == 0:
                await asyncio.sleep((time.monotonic() - began) * (1 - SHARE) / SHARE)
                began = time.monotonic()
        if not (found := check.end(*await self._events.ends())):
            self._view = self._view.model_copy(update={"state": Integrity.WHOLE})
            if pages.last:
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
            chained = self._taken()
            while not await self._written(chained):  # noqa: ASYNC110  # nobody tells when a disk has room again
                await asyncio.sleep(AGAIN)

    def _taken(self) -> Chained:
        """What is to be signed for, up to the newest, and when that happened."""
        if self._newest:
            self._happened = _moment(self._newest, self._happened)
        chained, self._chained = self._chained, Chained()
        return chained

    async def _written(self, chained: Chained) -> bool:
        at, self._writing = self._life.now(), True
        try:
            await asyncio.to_thread(self._book.seal, chained, self._life.log.epoch_at(chained.seq), at, self._happened)
            self._writing = False
        except OSError as error:
            self._unwritten, self._writing = str(error), False
            log.error("witness.not_written", error=self._unwritten, again_in_s=AGAIN)
            return False
        self._unwritten = ""
        if self._book.copy_problem:
            log.warning("witness.copy_not_written", error=self._book.copy_problem)
        self._view = self._view.model_copy(update={"sealed": chained.seq, "at": at})
        return True


def _moment(stored: Recorded, otherwise: datetime) -> datetime:
    """When it happened, as it says itself; where nobody can read that, the moment that is known."""
    with suppress(ValueError):
        at = stored.record.at
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return otherwise
