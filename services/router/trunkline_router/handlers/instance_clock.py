"""Instances that fall silent: looked at by alarms, stale after a while, and failed after a longer one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.instance import InstanceStatus
from trunkline.runtime.actor import Actor
from trunkline_router.handlers.one_by_one import each_in_its_trace
from trunkline_router.model.instance import Instance
from trunkline_router.model.instance_cues import InstanceCue, Silent
from trunkline_router.model.instance_life import LOOKED_AT, decide
from trunkline_router.ports import Beats, DueTask, DueTasks, Timers

MOST: Final = 20_000
"""Instances of which this process remembers what spares a look or an alarm; of others it makes one too many."""
GRAIN: Final = timedelta(seconds=30)
"""Alarms lie at whole half minutes, so that those of many instances are one message."""


class Limits(NamedTuple):
    """For how long nothing may be heard of an instance."""

    stale: timedelta
    lost: timedelta

    @property
    def grain(self) -> timedelta:
        return min(GRAIN, self.stale / 6)


class _Ring(NamedTuple):
    due: DueTask
    at: datetime


class InstanceClock:
    """One chain of alarms for each instance while its silence means something: each look sets the next alarm."""

    def __init__(
        self, actor: Actor[Instance, InstanceCue], beats: Beats, timers: Timers, now: Callable[[], datetime], limits: Limits
    ) -> None:
        self._actor = actor
        self._beats = beats
        self._timers = timers
        self._now = now
        self._limits = limits
        self._rings: OrderedDict[str, datetime] = OrderedDict()
        """When the next alarm of an instance rings, as far as this process set it."""
        self._unknown: OrderedDict[str, datetime] = OrderedDict()
        """Since when nothing is known of its heartbeats: nats-server forgets them when it starts anew, and that is nobody's silence."""

    async def watch(self, due: DueTask, at: datetime) -> None:
        """From this moment on. Again changes nothing."""
        pending = self._rings.get(due.instance)
        if pending is None or pending <= self._now():
            await self._set(due, at + self._limits.stale)

    async def due(self, due: DueTasks) -> None:
        """Raises Unavailable; looks that were taken are not taken again then."""
        rings: list[_Ring] = []

        async def look(one: DueTask) -> None:
            if ring := await self._look(one):
                rings.append(ring)

        try:
            await each_in_its_trace({each.instance: each for each in due.tasks}.values(), look)
        finally:
            await self._set_all(rings)

    async def _set_all(self, rings: Sequence[_Ring]) -> None:
        """All at once, so that those for one moment become one message."""
        failed: list[Unavailable] = []

        async def put(ring: _Ring) -> None:
            try:
                await self._set(*ring)
            except Unavailable as error:  # raised below; what holds it does not know groups of errors
                failed.append(error)

        async with asyncio.TaskGroup() as group:
            for ring in rings:
                group.create_task(put(ring))
        if failed:
            raise failed[0]

    async def _look(self, due: DueTask) -> _Ring | None:
        """When to look again."""
        now = self._now()
        if self._rings.get(due.instance, now) > now + self._limits.grain:
            return None  # another chain has it
        instance = await self._actor.state(due.instance, 1)
        if instance is None or instance.status not in LOOKED_AT:
            return None
        sign = await self._beats.sign(TenantId(due.tenant), TaskId(due.task))
        since = sign.at if sign else self._unknown.get(due.instance, now)
        self._note(due, since, known=sign is not None)
        due = due.model_copy(update={"beats": due.beats or bool(sign and sign.heartbeat)})
        after = await self._judged(due, instance, Silent(since, sign is not None, now, *self._of(due)))
        return _Ring(due, self._next(due, after, now, since)) if after and after.status in LOOKED_AT else None

    def _of(self, due: DueTask) -> Limits:
        """Who never sent a heartbeat misses none: such an agent may work in silence, and its run or its deadline ends it."""
        return self._limits if due.beats else self._limits._replace(lost=timedelta.max)

    def _note(self, due: DueTask, since: datetime, *, known: bool) -> None:
        if known:
            self._unknown.pop(due.instance, None)
        else:
            _remember(self._unknown, due.instance, since)

    async def _judged(self, due: DueTask, instance: Instance, cue: Silent) -> Instance | None:
        judged = due.beats or instance.dispatched or instance.status is InstanceStatus.DISCONNECTED
        if not judged or not decide(instance, cue):  # as almost always, and nothing need be read to know that
            return instance
        return (await self._actor.receive(due.instance, cue, cue.now, cause="silence")).state

    def _next(self, due: DueTask, instance: Instance, now: datetime, since: datetime) -> datetime:
        heard, later = max(since, instance.heard_at), now + self._limits.stale
        if instance.status is InstanceStatus.STALE and due.beats:
            return max(min(heard + self._limits.lost, later), now)
        return due_at if (due_at := heard + self._limits.stale) > now else later

    async def _set(self, due: DueTask, at: datetime) -> None:
        moment = rounded_up(at, self._limits.grain)
        await self._timers.instance(due, moment)
        _remember(self._rings, due.instance, moment)


def rounded_up(at: datetime, grain: timedelta) -> datetime:
    """To a whole multiple of the grain since the beginning of its day."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + -((day - at) // grain) * grain


def _remember(known: OrderedDict[str, datetime], name: str, at: datetime) -> datetime:
    known[name] = at
    known.move_to_end(name)
    if len(known) > MOST:
        known.popitem(last=False)
    return at
