"""What a surface has said about one task so far, for whoever asks again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic

from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event
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
class Results(Generic[State]):
    """The polling form of a channel: the same fold, over one timeline."""

    tasks: Tasks
    story: Story[State]
    begin: Callable[[TaskId, TaskSubmitted], State | None]
    """As that of the story, for one who may see the task."""
    _kept: OrderedDict[tuple[Timeline, Place], Reached[State]] = field(default_factory=OrderedDict, init=False, repr=False)

    async def of(self, principal: Principal, alias: str, after: Place | None = None) -> tuple[State, tuple[Spoken, ...]]:
        """Where it stands, and what was said: at least what lies beyond `after`. Raises NotFound, also for what the caller may not see."""
        try:
            view = await self.tasks.task(principal, TaskId(alias))
        except NotFound:
            raise _unknown() from None
        timeline = Timeline(TenantId(view.tenant), TaskId(view.task_id))
        made = await self.tasks.feed.submission(timeline.tenant, timeline.task)
        begun = self.begin(timeline.task, made) if made else None
        if begun is None:
            raise _unknown()
        kept = self._kept.get((timeline, after)) if after else None
        reached, said = await self._onward(timeline, begun, kept)
        if place := said[-1].place if said else after if kept else None:
            self._keep(timeline, place, reached)
        return reached.state, said

    async def _onward(self, timeline: Timeline, begun: State, kept: Reached[State] | None) -> tuple[Reached[State], tuple[Spoken, ...]]:
        at, said = kept or Reached(begun), list[Spoken]()
        async for item in self.tasks.feed.recent(timeline, at.up_to):
            if isinstance(item, Event):
                state, more = self.story.over(at.state, item)
                at = Reached(state, item.cursor)
                said += more
            else:  # the log does not reach back to there: all that it has follows
                at, said = Reached(begun), []
        return at, tuple(said)

    def _keep(self, timeline: Timeline, place: Place, reached: Reached[State]) -> None:
        self._kept[timeline, place] = reached
        self._kept.move_to_end((timeline, place))
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)


def _unknown() -> NotFound:
    return NotFound("there is no task by that name", code="TASK_NOT_FOUND")
