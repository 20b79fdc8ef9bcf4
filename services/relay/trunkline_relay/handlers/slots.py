"""Room for requests to subscribers: so many at once for each host and in all, and none for a host that rests."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from trunkline_relay.model.hosts import Host

WAITS: Final = 2.0
"""Seconds for room at a host, where there seemed to be soon enough."""
MOST_HOSTS: Final = 10_000
"""That are remembered: the breakers of those that were told longest ago are forgotten."""


class Slot:
    """One request under way; whoever has it says whether the host was well."""

    def __init__(self) -> None:
        self.well: bool | None = None


class _Place:
    def __init__(self, slots: int) -> None:
        self.host = Host(slots)
        self.waiting: deque[asyncio.Future[int]] = deque()


class Slots:
    """Every host that one relay tells."""

    def __init__(self, per_host: int, in_all: int) -> None:
        self._per_host = per_host
        self._in_all = in_all
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._under_way = 0
        self._now = asyncio.get_event_loop().time

    @asynccontextmanager
    async def of(self, host: str) -> AsyncIterator[Slot | None]:
        """Room for one request inside the block; None when the host rests, is slow, or would have room too late."""
        place = self._place(host)
        number = await self._number(place)
        if number is None:
            yield None
            return
        slot = Slot()
        try:
            yield slot
        finally:
            self._end(place, number, slot.well)

    def quick(self, host: str) -> bool:
        """Whether whoever is told there answers at once, as far as is known."""
        return self._place(host).host.quick(self._now())

    def _begin(self, place: _Place) -> int:
        self._under_way += 1
        return place.host.begin(self._now())

    def _end(self, place: _Place, number: int, well: bool | None) -> None:
        self._under_way -= 1
        place.host.end(number, self._now(), well=well, roll=random.random())
        while place.waiting and self._free(place):
            waiter = place.waiting.popleft()
            if not waiter.done():
                waiter.set_result(self._begin(place))

    def _place(self, host: str) -> _Place:
        place = self._places.get(host)
        if place is None:
            place = self._places[host] = _Place(self._per_host)
            self._forget()
        self._places.move_to_end(host)
        return place

    def _forget(self) -> None:
        if len(self._places) > MOST_HOSTS:
            host, oldest = next(iter(self._places.items()))
            if not oldest.host.begun and not oldest.waiting:
                del self._places[host]

    def _free(self, place: _Place) -> bool:
        return self._under_way < self._in_all and place.host.free(self._now())

    async def _number(self, place: _Place) -> int | None:
        """Of a request that has begun."""
        if not place.waiting and self._free(place):
            return self._begin(place)
        if not place.host.soon(len(place.waiting), self._now()):
            return None
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        place.waiting.append(waiter)
        try:
            await asyncio.wait((waiter,), timeout=WAITS)
        except asyncio.CancelledError:
            if not waiter.cancel():
                self._end(place, waiter.result(), None)
            raise
        return None if waiter.cancel() else waiter.result()
