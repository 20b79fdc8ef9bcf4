"""Lets somebody in by several windows at once, or by none: what one window refuses takes no place in another.

First all windows are looked at, then all are hit in one order, the shortest first; where one refuses even so, for others were quicker,
the hits before it are given back. A hit is only ever taken back by whoever is refused, so there are never more let in than may be. For
that moment somebody else may find a window full that is not: who finds one full looks a second time before being refused.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from trunkline.bus import BusAway, Hit, Limits, Refused, Rule, key_of
from trunkline.bus.limits import Window
from trunkline_gateway.adapters.counted import Looked, Open, quota_of, refused, tightest
from trunkline_gateway.ports import Counted, Quota
from trunkline_gateway.windows import Closed, Windows

log = structlog.get_logger()

ROUNDS: Final = 4
PAUSE: Final = 0.04
"""Seconds, more or less, after which hits are given back that had to be."""
ANSWERS_WITHIN: Final = 0.5
"""Seconds that nats-server has to say how full a window is."""
AT_ONCE: Final = 32
"""Callers that are decided about at the same time; a thousand would have each other's answers come too late."""
BELIEVED: Final = 1.0
"""Seconds for which a full window counts as full without another look."""


@dataclass(frozen=True, slots=True)
class Place:
    """One window of one caller."""

    rule: Rule
    key: str

    @property
    def name(self) -> str:
        return f"{self.rule.stream}.{self.key}"


Standing = Mapping[Place, Window]


def places(rules: Sequence[Rule], keys: Sequence[str]) -> tuple[Place, ...]:
    """In the order in which they are hit: one for all, so that of two that race for two windows one gets both."""
    return tuple(Place(rule, key) for rule in rules for key in keys)


@dataclass(slots=True)
class Admission:
    """For all callers of this process. Whatever it does may raise BusAway."""

    limits: Limits
    windows: Windows
    _shut: Closed = field(default_factory=Closed)
    _frees: Closed = field(default_factory=Closed)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def admit(self, asked: Sequence[Place], id: str = "") -> Counted:
        """What names itself by `id` counts once, should it come again within two minutes."""
        if not id and (counted := self._remembered(asked)):
            return counted
        full = 0
        for turn in range(ROUNDS):
            if turn:
                await asyncio.sleep(PAUSE * random.uniform(0.5, 1.5))
            async with self._turns:
                # What names itself may be what fills the windows: then no look tells whether it may go on.
                room = bool(id) or _room(await self.standing(asked))
                if room and (hits := await self._taken(asked, id)):
                    return Open([await self._looked(place) for place in asked], hits)
            full += not room
            if full == 2:
                break
        async with self._turns:
            return self._refusal(await self.standing(asked))

    async def standing(self, asked: Sequence[Place]) -> Standing:
        looks = [await self.limits.look(place.rule, place.key) for place in asked]
        found = [await look.window(ANSWERS_WITHIN) for look in looks]
        if None in found:
            raise BusAway("nats-server does not say how full a limit is", code="LIMITS_AWAY")
        return {place: window for place, window in zip(asked, found, strict=True) if window}

    async def give_back(self, counted: Counted) -> None:
        """But for what was counted already when it came before: that may have been used."""
        if isinstance(counted, Open):
            for looked in counted.looks:
                self.windows.take_back(looked.name)
            await self._give_back([(rule, hit) for rule, hit in counted.hits if not hit.again])

    async def _taken(self, asked: Sequence[Place], id: str) -> Sequence[tuple[Rule, Hit]]:
        """The hits of all; none where one was refused, and then it is as if there had been none."""
        hits: list[tuple[Rule, Hit]] = []
        try:
            for place in asked:
                verdict = await self._hit(place, key_of(id, place.key) if id else "")
                if isinstance(verdict, Refused):
                    break
                hits.append((place.rule, verdict))
        finally:
            if len(hits) < len(asked):
                await self._give_back(hits)
        return hits if len(hits) == len(asked) else ()

    async def _hit(self, place: Place, id: str) -> Hit | Refused:
        """What was given back since it named itself is counted again."""
        verdict = await self.limits.hit(place.rule, place.key, id=id)
        if isinstance(verdict, Hit) and verdict.again and not await self.limits.holds(place.rule, verdict):
            return await self.limits.hit(place.rule, place.key)
        return verdict

    async def _give_back(self, hits: Sequence[tuple[Rule, Hit]]) -> None:
        for rule, hit in hits:
            try:
                await self.limits.give_back(rule, hit)
            except BusAway:
                log.warning("limits.not_given_back", window_s=rule.window_s)

    async def _looked(self, place: Place) -> Looked:
        self.windows.note(place.name, place.rule.window_s, time.monotonic())
        return Looked(place.rule, place.name, self.windows, await self.limits.look(place.rule, place.key))

    def _refusal(self, found: Standing) -> Counted:
        """Until all of them have room. Where others were quicker every time, and have gone again, a second is enough."""
        full = {place: window.frees_in for place, window in found.items() if window.count >= place.rule.limit}
        if not full:
            return refused(tightest(_quotas(found).values()).limit, 1.0)
        now = time.monotonic()
        for place, frees_in in full.items():
            self._shut.note(place.name, now + min(BELIEVED, frees_in))
            self._frees.note(place.name, now + frees_in)
        last = max(full, key=lambda place: full[place])
        return refused(last.rule.limit, full[last])

    def _remembered(self, asked: Sequence[Place]) -> Counted | None:
        now = time.monotonic()
        shut = {place: self._frees.wait(place.name, now) for place in asked if self._shut.wait(place.name, now) > 0}
        if not shut:
            return None
        last = max(shut, key=lambda place: shut[place])
        return refused(last.rule.limit, shut[last])


def left(found: Standing) -> Mapping[int, Quota]:
    """By window in seconds, of whoever has least."""
    by_window: dict[int, list[Quota]] = {}
    for place, window in found.items():
        by_window.setdefault(place.rule.window_s, []).append(quota_of(place.rule, window))
    return {seconds: tightest(quotas) for seconds, quotas in by_window.items()}


def _room(found: Standing) -> bool:
    return all(window.count < place.rule.limit for place, window in found.items())


def _quotas(found: Standing) -> Mapping[Place, Quota]:
    return {place: quota_of(place.rule, window) for place, window in found.items()}
