"""Somebody deals with a letter: the wish is one fenced record, carried out once, whoever repeats it and whoever dies of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from pydantic import ValidationError

from trunkline.bus import Raced, Stored
from trunkline.contracts.errors import Broken, Conflict, DomainError, Unavailable
from trunkline.contracts.letters import DiscardLetter, LetterHandled, LetterState, LetterView, RequeueLetter
from trunkline.contracts.message import Accepted
from trunkline.runtime.faults import faultpoint
from trunkline_relay.handlers.find_letters import FindLetters, Found
from trunkline_relay.handlers.requeue_letter import RequeueLetter as Requeue
from trunkline_relay.model import letters
from trunkline_relay.model.letters import Done

log = structlog.get_logger()

TRIES: Final = 5
LOOKS: Final = 40
LOOK: Final = 0.1
"""Seconds between two looks at what somebody else carries out."""
LEFT_ALONE: Final = 2.0
"""Seconds for which whoever was asked has it to itself; after that it is carried out by whoever hears of it."""


class HandleLetters:
    def __init__(self, find: FindLetters, requeue: Requeue, now: Callable[[], datetime]) -> None:
        self._find = find
        self._requeue = requeue
        self._now = now

    async def requeue(self, wish: RequeueLetter) -> Accepted:
        """Raises NotFound, Conflict, Invalid, Unavailable, and what the owner of what it becomes refuses with."""
        for _ in range(TRIES):
            found, done = await self._found(wish)
            if _is_repeat(wish, done):
                return await self._repeated(wish, found)
            _check_open(found.view, LetterState.REQUEUED)
            await self._requeue.check(found, wish.edit, wish.at)
            record = self._record(wish, LetterState.REQUEUED, done).model_copy(update={"edit": wish.edit})
            try:
                seq = await self._find.book.append(wish.tenant, record, done.seq if done else 0)
            except Raced:
                continue
            return await self._carried_out(found, Done(record, seq))
        raise _busy()

    async def discard(self, wish: DiscardLetter) -> Accepted:
        """Raises NotFound, Conflict, Unavailable."""
        for _ in range(TRIES):
            found, done = await self._found(wish)
            if _is_repeat(wish, done):
                return _told(found.view)
            _check_open(found.view, LetterState.DISCARDED)
            record = self._record(wish, LetterState.DISCARDED, done).model_copy(update={"reason": wish.reason, "done": True})
            try:
                await self._find.book.append(wish.tenant, record, done.seq if done else 0)
            except Raced:
                continue
            return _told(letters.stands(found.view, record))
        raise _busy()

    async def carry_on(self, stored: Stored) -> None:
        """A wish was stored: should whoever was asked be dead, it is carried out here. Raises Unavailable."""
        tenant = stored.subject.split(".")[2]
        wanted = read_wanted(stored.body)
        if wanted is None:
            return
        await asyncio.sleep(max(LEFT_ALONE - (self._now() - wanted.at).total_seconds(), 0.0))
        try:
            found, done = await self._known(tenant, wanted.letter)
            if done and done.seq == stored.seq:
                await self._carried_out(found, done)
        except Unavailable:
            raise
        except DomainError as error:  # it is said with the letter
            log.info("letter.not_requeued", letter=wanted.letter, code=error.code)

    async def _found(self, wish: RequeueLetter | DiscardLetter) -> tuple[Found, Done | None]:
        return await self._known(wish.tenant, wish.letter)

    async def _known(self, tenant: str, letter: str) -> tuple[Found, Done | None]:
        found = await self._find.one(tenant, letter)
        return found, await self._find.book.load(tenant, found.name)

    def _record(self, wish: RequeueLetter | DiscardLetter, state: LetterState, before: Done | None) -> LetterHandled:
        count = before.handled.count if before else 0
        again = count + (state is LetterState.REQUEUED)
        return LetterHandled(letter=wish.letter, state=state, count=again, wish=wish.wish, by=wish.by, at=wish.at)

    async def _repeated(self, wish: RequeueLetter, found: Found) -> Accepted:
        """What comes of the same wish: whoever was asked first carries it out, or should that one be dead, whoever hears of it."""
        for _ in range(LOOKS):
            done = await self._find.book.load(wish.tenant, found.name)
            if done and done.handled.wish == wish.wish and done.handled.done:
                return _told(letters.stands(found.view, done.handled))
            await asyncio.sleep(LOOK)
        raise Unavailable("it is being requeued; look at it again in a moment", code="LETTER_UNDER_WAY")

    async def _carried_out(self, found: Found, wanted: Done) -> Accepted:
        faultpoint("letter_requeued.before_effect")
        try:
            made, refusal = await self._requeue(found, wanted.handled), None
        except Unavailable:  # it is carried out as soon as that is there again
            raise
        except DomainError as error:
            made, refusal = "", error
        faultpoint("letter_requeued.after_effect")
        problem = refusal.message if refusal else ""
        record = wanted.handled.model_copy(update={"done": True, "made": made, "problem": problem})
        try:
            await self._find.book.append(found.view.tenant, record, wanted.seq)
        except Raced:  # somebody else carried it out too: it is the same
            log.info("letter.done_already", letter=record.letter)
        faultpoint("letter_requeued.after_record")
        if refusal:
            raise refusal
        return _told(letters.stands(found.view, record))


def read_wanted(body: bytes) -> LetterHandled | None:
    """A record that says that something is still to be done."""
    try:
        record = LetterHandled.model_validate_json(body)
    except ValidationError as error:
        raise Broken("a record about a letter cannot be read", code="BAD_RECORD") from error
    return record if record.state is LetterState.REQUEUED and not record.done else None


def _is_repeat(wish: RequeueLetter | DiscardLetter, done: Done | None) -> bool:
    return done is not None and done.handled.wish == wish.wish and not done.handled.problem


def _check_open(view: LetterView, wanted: LetterState) -> None:
    """What was discarded may still be requeued. Raises Conflict."""
    if view.state is LetterState.REQUEUED or view.state is wanted:
        made = view.handled.made if view.handled else ""
        said = f"it was {view.state} already{f', as {made}' if made else ''}; what becomes of that has a letter of its own"
        raise Conflict(said, code="LETTER_HANDLED", state=view.state.value)


def _busy() -> Conflict:
    return Conflict("others deal with this letter at this moment; look at it again", code="LETTER_BUSY")


def _told(view: LetterView) -> Accepted:
    return Accepted(seq=0, body=view.model_dump(mode="json"))
