"""Follows everything that happens to a tenant and tells it in the messages of one surface, job by job, in the order of the log."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from pydantic import JsonValue

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event
from trunkline.contracts.task import TaskSubmitted
from trunkline_gateway.ports import Feed, Passage, Timeline

REMEMBERED: Final = 10_000
"""Tasks whose state is at hand; of another one the timeline is read again."""
_PLACE: Final = re.compile(r"\A(.{1,64})_(\d{1,4})\Z")

State = TypeVar("State")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A message's place: that of the fact it comes from, and which of that fact's messages it is."""

    cursor: Cursor
    number: int = 0

    def __str__(self) -> str:
        return f"{self.cursor}_{self.number}"

    def before(self) -> Place:
        """Whoever has heard all up to there gets this message first. Compared with, never written."""
        return Place(self.cursor, self.number - 1)

    @classmethod
    def parse(cls, text: str) -> Place:
        """Reads what `str` wrote. Raises Invalid."""
        found = _PLACE.match(text)
        if not found:
            raise Invalid("an event id looks like k3v9-1234_0", code="BAD_EVENT_ID")
        return cls(Cursor.parse(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Message:
    """Something that is said on a topic. `job` is whose it is."""

    topic: str
    job: str
    data: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message at its place."""

    place: Place
    at: datetime
    message: Message


@dataclass(frozen=True, slots=True)
class Story(Generic[State]):
    """How a surface tells: two pure functions. `begin` gives nothing for what it does not tell."""

    begin: Callable[[TaskId, TaskSubmitted], State | None]
    tell: Callable[[State, Event], tuple[State, tuple[Message, ...]]]

    def over(self, state: State, event: Event) -> tuple[State, tuple[Spoken, ...]]:
        """The next state, and what is said at which places."""
        after, messages = self.tell(state, event)
        return after, tuple(Spoken(Place(event.cursor, number), event.at, message) for number, message in enumerate(messages))


class Teller(Protocol):
    """One pass over the log of a tenant."""

    async def told(self, passage: Passage) -> tuple[Spoken, ...]:
        """What one record comes to; each record once, in the order of the log. Raises Unavailable."""
        ...


class Telling(Generic[State]):
    """One pass over the log of one tenant, forwards."""

    def __init__(self, feed: Feed, tenant: TenantId, story: Story[State]) -> None:
        self._feed = feed
        self._tenant = tenant
        self._story = story
        self._known: OrderedDict[TaskId, State | None] = OrderedDict()

    async def told(self, passage: Passage) -> tuple[Spoken, ...]:
        """What one record comes to. Raises Unavailable."""
        task = passage.task
        if task not in self._known:
            await self._learn(passage)
        self._known.move_to_end(task)
        state = self._known[task]
        if state is None:
            return ()
        said: list[Spoken] = []
        for event in passage.events():
            state, more = self._story.over(state, event)
            said += more
        self._known[task] = state
        return tuple(said)

    async def _learn(self, passage: Passage) -> None:
        """As it stood before this record."""
        self._known[passage.task] = await self._before(passage)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def _before(self, passage: Passage) -> State | None:
        submitted = next((event.fact for event in passage.first() if isinstance(event.fact, TaskSubmitted)), None)
        made = submitted or await self._feed.submission(self._tenant, passage.task)
        state = self._story.begin(passage.task, made) if made else None
        if state is None or submitted:
            return state
        async for item in self._feed.recent(Timeline(self._tenant, passage.task), None):
            if not isinstance(item, Event):
                continue
            if item.cursor.seq >= passage.at.seq:
                break
            state, _ = self._story.over(state, item)
        return state
