"""What the log says of a dispatch, its task and its agent; and the one way to say more of the dispatch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.instance import InstanceAsked, InstanceMoved, InstanceRead, InstanceSaid, InstanceStatus
from trunkline.contracts.message import Fact
from trunkline.runtime.actor import Actor, Decided
from trunkline_relay.model.dispatch import Cue, Dispatch
from trunkline_relay.model.dispatch_steps import Scene
from trunkline_relay.model.home_task import HomeTask, home_task
from trunkline_relay.ports import DueDispatch

MOST_CALLED: Final = 10_000
_SILENT: Final = (InstanceStatus.DISCONNECTED, InstanceStatus.FAILED, InstanceStatus.KILLED)
"""What an agent that never called may be moved to by us."""


class DispatchLog:
    """The parts of the timeline that matter to dispatches."""

    def __init__(self, log: Log, actor: Actor[Dispatch, Cue], now: Callable[[], datetime]) -> None:
        self._log = log
        self._actor = actor
        self._called: OrderedDict[str, None] = OrderedDict()
        self.now = now

    async def scene(self, due: DueDispatch, asked_at: datetime | None = None) -> Scene | None:
        """All that is known at this moment, where GitHub was asked at that one; None where nothing was dispatched."""
        dispatch = await self.dispatch(due)
        task = await self.task(due) if dispatch else None
        if dispatch is None or task is None:
            return None
        return Scene(dispatch, task, await self.called(due), self.now(), looked=asked_at is not None, asked_at=asked_at)

    async def dispatch(self, due: DueDispatch) -> Dispatch | None:
        last = await self._log.last(_subject(due, subjects.DISPATCH))
        return await self._actor.state(last.subject, last.seq) if last else None

    async def task(self, due: DueDispatch) -> HomeTask | None:
        loaded = await self._log.load(_subject(due, subjects.TASK))
        return home_task((fact, stored.record.at) for stored in loaded.records for fact in stored.record.facts)

    async def called(self, due: DueDispatch) -> bool:
        """Whether its agent has ever called; before that its part is short, and after that it is not read again."""
        subject = _subject(due, subjects.INSTANCE)
        if subject in self._called:
            return True
        loaded = await self._log.load(subject)
        found = any(_calls(fact) for stored in loaded.records for fact in stored.record.facts)
        if found:
            self._called[subject] = None
            while len(self._called) > MOST_CALLED:
                self._called.popitem(last=False)
        return found

    async def receive(self, due: DueDispatch, cue: Cue) -> Decided[Dispatch]:
        """Raises Unavailable."""
        return await self._actor.receive(_subject(due, subjects.DISPATCH), cue, self.now(), cause=type(cue).__name__)


def _calls(fact: Fact) -> bool:
    if isinstance(fact, InstanceMoved):
        return fact.status not in _SILENT
    return isinstance(fact, InstanceSaid | InstanceAsked | InstanceRead)


def _subject(due: DueDispatch, part: str) -> str:
    return subjects.event(TenantId(due.tenant), TaskId(due.task), part)
