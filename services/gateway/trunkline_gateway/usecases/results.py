"""What a surface has said about one task so far, for whoever asks again and again."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Generic, cast

from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import TaskSubmitted
from trunkline_gateway.ports import Timeline
from trunkline_gateway.usecases.tasks import Tasks
from trunkline_gateway.usecases.telling import Place, Spoken, State, Story

KEPT: Final = 500
"""Places from which somebody who asks again is told on at once; for another one the timeline is read from its beginning."""


@dataclass(frozen=True, slots=True)
class Reached(Generic[State]):
    """How a task stands after the facts up to a cursor; no cursor: before the first."""

    state: State
    up_to: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which messages: those of a topic beyond a place, so many at most: the first of them, or, `newest`, the last."""

    topic: str
    after: Place | None
    limit: int
    newest: bool = False

    def wants(self, spoken: Spoken) -> bool:
        """A place in another life of the log is beyond nothing."""
        after = self.after
        beyond = after is None or spoken.place.cursor.epoch != after.cursor.epoch or spoken.place > after
        return beyond and spoken.message.topic == self.topic


@dataclass(frozen=True, slots=True)
class Page(Generic[State]):
    """What was said, and how the task stands with that; `more`: more was said since, and the task may stand otherwise."""

    state: State
    said: tuple[Spoken, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Results(Generic[State]):
    """The polling form of a channel: the same fold, over one timeline."""

    tasks: Tasks
    story: Story[State]
    begin: Callable[[TaskId, TaskSubmitted], State | None]
    """As that of the story, for one who may see the task."""
    _kept: OrderedDict[tuple[Timeline, Place], Reached[State]] = field(default_factory=OrderedDict, init=False, repr=False)

    async def of(self, principal: Principal, alias: str, asked: Asked) -> Page[State]:
        """Raises NotFound, also for what the caller may not see."""
        try:
            view = await self.tasks.task(principal, TaskId(alias))
        except NotFound:
            raise _unknown() from None
        timeline = Timeline(TenantId(view.tenant), TaskId(view.task_id))
        made = await self.tasks.feed.submission(timeline.tenant, timeline.task)
        begun = self.begin(timeline.task, made) if made else None
        if begun is None:
            raise _unknown()
        kept = self._kept.get((timeline, asked.after)) if asked.after else None
        reached, page = await self._onward(timeline, begun, kept, asked)
        if place := page.said[-1].place if page.said else asked.after if kept else None:
            self._keep(timeline, place, reached)
        return page

    async def _onward(
        self, timeline: Timeline, begun: State, kept: Reached[State] | None, asked: Asked
    ) -> tuple[Reached[State], Page[State]]:
        """No further than the page is long: what it costs does not grow with what is behind it. The newest are there at the end alone."""
        at, said = kept or Reached(begun), deque[Spoken](maxlen=asked.limit if asked.newest else None)
        async with aclosing(cast(AsyncGenerator[Event | Gap, None], self.tasks.feed.recent(timeline, at.up_to))) as items:
            async for item in items:
                if not isinstance(item, Event):  # the log does not reach back to there: all that it has follows
                    at = Reached(begun)
                    said.clear()
                    continue
                state, told = self.story.over(at.state, item)
                said.extend(filter(asked.wants, told))
                if len(said) > asked.limit:  # the next page begins with this fact once more
                    return at, Page(at.state, tuple(islice(said, asked.limit)), more=True)
                at = Reached(state, item.cursor)
        return at, Page(at.state, tuple(said), more=False)

    def _keep(self, timeline: Timeline, place: Place, reached: Reached[State]) -> None:
        self._kept[timeline, place] = reached
        self._kept.move_to_end((timeline, place))
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def _unknown() -> NotFound:
    return NotFound("there is no task by that name", code="TASK_NOT_FOUND")
