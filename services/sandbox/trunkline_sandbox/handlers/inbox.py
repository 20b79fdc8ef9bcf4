"""What the carrier of a run does with its inbox: look at it, take from it, close it. Every claim is fenced on the log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.bus import Log, Stored, WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.steering import MessageState, RunSteered, Steer
from trunkline.contracts.task import ENDS, TaskAssigned
from trunkline.runtime.actor import Actor
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model.inbox import EMPTY, Close, Cue, Deliver, Letter, Take
from trunkline_sandbox.model.inbox import Inbox as State

Inboxes = Actor[State, Cue]
REMEMBERED: Final = 64
"""Inboxes of which the newest state is kept: more than anybody has hands."""
OVER: Final = "the task is over"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What people want of the run now. `interrupts` are those of this attempt, the oldest first; which were heard, the run knows."""

    paused: bool
    by: str
    """Who paused it, or let it go on, last."""
    interrupts: tuple[RunSteered, ...]
    resumed: str = ""
    """The wish that ended the rest after them, if one did."""


class Inbox:
    """Safe for several carriers at once: what one takes, no other takes. Every call may raise BusAway or Unavailable."""

    def __init__(self, inboxes: Inboxes, events: Log, now: Callable[[], datetime]) -> None:
        self._inboxes = inboxes
        self._events = events
        self._now = now
        self._seen: OrderedDict[str, tuple[int, State]] = OrderedDict()

    async def next(self, job: Job) -> Letter | None:
        """The first message that waits. All that wait are on the timeline as seen when this returns; none of them is taken.

        What an earlier attempt took waits again, for this one has a conversation of its own.
        """
        subject = _subject(job.item)
        state = await self._state(subject)
        if state.lost(job.item.attempt) or any(not each.delivered_at for each in state.waiting):
            state = await self._cue(subject, Deliver(job.item.attempt))
        return state.waiting[0] if state.waiting else None

    async def take(self, job: Job, message: Letter | str, sitting: int) -> Letter | None:
        """The message as it is now, claimed for the agent; again for the same sitting. None: it is withdrawn, or another sitting has it."""
        id = message if isinstance(message, str) else message.id
        state = await self._cue(_subject(job.item), Take(id, job.item.attempt, sitting))
        faultpoint("message_taken.after_record")
        letter = state.letter(id)
        return letter if letter and _is_of(letter, job.item.attempt, sitting) else None

    async def taken(self, job: Job, sitting: int) -> tuple[Letter, ...]:
        """The newest hundred claimed for this sitting, in that order: whoever takes over tells them again, under the same entries."""
        state = await self._state(_subject(job.item))
        return tuple(each for each in state.settled if _is_of(each, job.item.attempt, sitting))

    async def wishes(self, job: Job) -> Wishes:
        state = await self._state(_subject(job.item))
        held = [wish for wish in state.wishes if wish.steer is not Steer.INTERRUPT]
        heard = tuple(wish for wish in state.wishes if wish.steer is Steer.INTERRUPT and wish.attempt == job.item.attempt)
        resumed = next((wish.wish_id for wish in reversed(held) if wish.steer is Steer.RESUME), "")
        return Wishes(state.paused, held[-1].by if held else "", heard, "" if state.rests == job.item.attempt else resumed)

    async def close(self, job: Job, attempt: int, *, unless_waiting: bool = False, unless_wished: bool = False) -> bool:
        """Whether it is closed: nothing said from here on is taken. What waits is withdrawn; see Close for what leaves it open."""
        return (await self._cue(_subject(job.item), Close(attempt, unless_waiting, unless_wished))).closed >= attempt

    async def over(self, stored: Stored) -> None:
        """News of a task: when it is over, nothing more is taken, and what was never taken is on the timeline as withdrawn."""
        if not any(isinstance(fact, ENDS) for fact in stored.record.facts):
            return
        names = subjects.parse_event(stored.subject)
        subject = subjects.event(names.tenant, names.task, subjects.INBOX)
        if await self._state(subject) is not EMPTY:
            loaded = await self._events.load(stored.subject)
            facts = [fact for each in loaded.records for fact in each.record.facts]
            attempt = max((fact.attempt for fact in facts if isinstance(fact, TaskAssigned)), default=1)
            await self._cue(subject, Close(attempt, reason=OVER))
        self._seen.pop(subject, None)

    async def _cue(self, subject: str, cue: Cue) -> State:
        outcome = await self._inboxes.receive(subject, cue, self._now(), type(cue).__name__.lower())
        state = outcome.state or EMPTY
        self._remember(subject, outcome.seq, state)
        return state

    async def _state(self, subject: str) -> State:
        """As the log has it now; it is read anew only when something was added."""
        last = await self._events.last(subject)
        if last is None:
            return EMPTY
        seq, state = self._seen.get(subject, (0, EMPTY))
        if seq < last.seq:
            state = await self._inboxes.state(subject, last.seq) or EMPTY
            self._remember(subject, last.seq, state)
        return state

    def _remember(self, subject: str, seq: int, state: State) -> None:
        if seq >= self._seen.get(subject, (0, EMPTY))[0]:
            self._seen[subject] = (seq, state)
        self._seen.move_to_end(subject)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def _is_of(letter: Letter, attempt: int, sitting: int) -> bool:
    """One that was taken so long ago that its text is forgotten was told long ago."""
    return letter.state is MessageState.TAKEN and (letter.attempt, letter.sitting) == (attempt, sitting) and bool(letter.text)


def _subject(item: WorkItem) -> str:
    return subjects.event(TenantId(item.tenant), TaskId(item.task), subjects.INBOX)
