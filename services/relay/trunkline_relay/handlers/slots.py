"""Room for requests to subscribers: so many at once for each host and in all, shared by the webhooks of a host, and who waits for it."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import islice
from typing import Final

from trunkline_relay.model import urls
from trunkline_relay.model.hosts import Host, Key, Turn, Waiting
from trunkline_relay.model.lines import Sign

PATIENCE: Final = 2.0
"""Seconds for room at a host, where there seemed to be soon enough."""
MOST_LINES: Final = 10_000
"""Webhooks and hosts that are remembered: the breakers of those that were told longest ago are forgotten."""
MOST_WAITING: Final = 20_000
"""Deliveries that are remembered to wait, some 500 bytes each; those beyond are left to their timers."""
AT_A_LOOK: Final = 500
"""Hosts where deliveries wait; the next look goes on behind them."""
LOOKS: Final = 8
"""At hosts, for one that may be forgotten."""
_host_of: Final = lru_cache(4096)(urls.host_of)


class Slot:
    """One request under way; whoever has it says what it taught."""

    def __init__(self, key: Key, number: int) -> None:
        self.key = key
        self.number = number
        self.sign = Sign.NOTHING
        self.over = False


Waiter = asyncio.Future[Slot | None]
"""Who waits for a slot in person; its result is None when that took too long."""


class _Place:
    def __init__(self, slots: int) -> None:
        self.host = Host(slots)
        self.asking: OrderedDict[Key, dict[Waiter, None]] = OrderedDict()
        """Who wants to begin a request and waits for it in person; the line whose turn is next comes first."""

    @property
    def idle(self) -> bool:
        """Nothing would be lost by forgetting it but what is known of its lines."""
        return self.host.idle and not self.asking


class Slots:
    """Every host that one relay tells."""

    def __init__(self, per_host: int, in_all: int) -> None:
        self._per_host = per_host
        self._in_all = in_all
        self._for_slow = max(in_all * 3 // 4, 1)
        """Of them, for those that are not known to be quick, and those that waited."""
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._waited_for: OrderedDict[str, None] = OrderedDict()
        """Hosts where deliveries wait."""
        self._lines = self._waits = self._under_way = 0
        self._stirred = asyncio.Event()
        self.now = asyncio.get_event_loop().time

    @asynccontextmanager
    async def of(self, key: Key, begun: Slot | None = None) -> AsyncIterator[Slot | None]:
        """Room for one request inside the block, `begun` where there is one already.

        None when the webhook or its host rests, is slow, or would have room too late.
        """
        slot = begun or await self.take(key)
        try:
            yield slot
        finally:
            if slot:
                self.give_back(slot)

    async def take(self, key: Key) -> Slot | None:
        """As `of`, to be given back."""
        return await self._slot(self._place(key), key)

    def give_back(self, slot: Slot) -> None:
        """Its request is over. A second time does nothing."""
        if slot.over:
            return
        slot.over = True
        place = self._place(slot.key)
        self._under_way -= 1
        place.host.end(slot.key, slot.number, self.now(), sign=slot.sign, roll=random.random())
        self._hand_on(place)
        if place.host.waits:
            self._stirred.set()

    def quick(self, key: Key) -> bool:
        """Whether whoever is told there answers at once, as far as is known."""
        return self._place(key).host.quick(key, self.now())

    def behind(self, key: Key) -> bool:
        """Whether others of this webhook wait already, and come first."""
        return self._place(key).host.behind(key, self.now())

    def why_not(self, key: Key) -> str:
        """Why there is no room, as a part of a sentence."""
        if self._under_way >= self._room(self._place(key), key):
            return "as many requests to subscribers are under way as may be"
        return self._place(key).host.why_not(key, self.now())

    def wait(self, key: Key, waiting: Waiting) -> bool:
        """Remembers that a delivery waits for room, to be told by `turns`. False: there is no room for that."""
        host = self._place(key).host
        before = host.waits
        if self._waits >= MOST_WAITING or not host.wait(key, waiting):
            return False
        self._waits += host.waits - before
        self._waited_for[_host_of(key.url)] = None
        return True

    def turns(self) -> Iterator[tuple[Turn, Slot]]:
        """Deliveries that waited and have room now; each slot is to be given back. Where room runs out, the next look goes on behind."""
        for name in list(islice(self._waited_for, AT_A_LOOK)):
            if self._under_way >= self._for_slow:
                break
            self._waited_for.move_to_end(name)
            yield from self._turns_at(name)

    async def stirred(self, within_s: float) -> None:
        """Returns when a slot was given back where something waits, or when the time is over."""
        try:
            async with asyncio.timeout(within_s):
                await self._stirred.wait()
        except TimeoutError:  # a rest may be over
            return
        finally:
            self._stirred.clear()

    def _turns_at(self, name: str) -> Iterator[tuple[Turn, Slot]]:
        host = self._places[name].host
        while self._under_way < self._for_slow:
            waits, lines = host.waits, len(host.lines)
            turn = host.turn(self.now())
            self._waits += host.waits - waits
            if turn is None:
                break
            yield turn, self._begun(turn.key, turn.number, len(host.lines) - lines)
        if not host.waits:
            del self._waited_for[name]

    def _begin(self, place: _Place, key: Key) -> Slot:
        before = len(place.host.lines)
        number = place.host.begin(key, self.now())
        return self._begun(key, number, len(place.host.lines) - before)

    def _begun(self, key: Key, number: int, new_lines: int) -> Slot:
        self._under_way += 1
        self._lines += new_lines
        self._forget()
        return Slot(key, number)

    def _hand_on(self, place: _Place) -> None:
        """To those that wait in person, line after line, for as long as any may begin."""
        while place.asking and (key := next((each for each in place.asking if self._free(place, each)), None)):
            place.asking.move_to_end(key)
            waiter = next(iter(place.asking[key]))
            _leave(place, key, waiter)
            if not waiter.done():  # else whoever waited was cancelled at this very moment
                waiter.set_result(self._begin(place, key))

    def _place(self, key: Key) -> _Place:
        name = _host_of(key.url)
        if name not in self._places:
            self._forget()
            self._places[name] = _Place(self._per_host)
        self._places.move_to_end(name)
        return self._places[name]

    def _forget(self) -> None:
        """Until there are not more lines and hosts than may be remembered, or none that may be forgotten is found soon."""
        while len(self._places) + self._lines > MOST_LINES and self._forgotten():
            pass

    def _forgotten(self) -> bool:
        """A line, or a host without any, of those that were told longest ago."""
        for name in list(islice(self._places, LOOKS)):
            place = self._places[name]
            line = place.host.forget()
            self._lines -= line
            empty = place.idle and not place.host.lines
            if empty:
                del self._places[name]
            if line or empty:
                return True
            self._places.move_to_end(name)
        return False

    def _free(self, place: _Place, key: Key) -> bool:
        return self._under_way < self._room(place, key) and place.host.free(key, self.now())

    def _room(self, place: _Place, key: Key) -> int:
        """A quarter of all is left to those that are known to give it back soon: a hundred slow hosts fill the rest without end."""
        line = place.host.lines.get(key)
        return self._in_all if line and line.proven(self.now()) else self._for_slow

    async def _slot(self, place: _Place, key: Key) -> Slot | None:
        asking = place.asking.get(key, {})
        if not asking and self._free(place, key):
            return self._begin(place, key)
        if not place.host.soon(key, len(asking), self.now()):
            return None
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        place.asking.setdefault(key, {})[waiter] = None
        late = loop.call_later(PATIENCE, _give_up, place, key, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and (slot := waiter.result()):
                self.give_back(slot)
            raise
        finally:
            late.cancel()
            _leave(place, key, waiter)


def _give_up(place: _Place, key: Key, waiter: Waiter) -> None:
    _leave(place, key, waiter)
    if not waiter.done():
        waiter.set_result(None)


def _leave(place: _Place, key: Key, waiter: Waiter) -> None:
    asking = place.asking.get(key, {})
    asking.pop(waiter, None)
    if not asking:
        place.asking.pop(key, None)
