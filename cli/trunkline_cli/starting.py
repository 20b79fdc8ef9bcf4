"""Starting where the bus may still be starting itself: tried again until it is there, said aloud, given up after a while."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from trunkline.bus import BusAway
from trunkline.contracts.errors import Unavailable
from trunkline_cli.supervisor import Say, Switch, hopeless, pause

T = TypeVar("T")

FIRST: Final = 0.2
LONGEST: Final = 2.0
SAID_EVERY: Final = 5.0
"""Seconds: often enough for somebody who looks on, seldom enough for a log."""


@dataclass(slots=True)
class Patience:
    """What a service has left of the time in which it must have begun."""

    name: str
    within: float
    say: Say
    switch: Switch = field(default_factory=Switch)
    began: float = field(default_factory=time.monotonic)
    _why: str = "the bus has not answered yet"
    _tries: int = 0
    _timer: asyncio.TimerHandle | None = None

    async def until(self, begin: Callable[[], Awaitable[T]]) -> T:
        """What `begin` gives, once it does not say that something is not there yet; whoever was ready and lost the bus begins anew.

        Raises what was said last when the time is over, and at once what stays so.
        """
        with self._telling():
            while True:
                try:
                    return await begin()
                except Unavailable as error:
                    await self._bear(error)
                self._tries = min(self._tries + 1, 10)

    async def _bear(self, error: Unavailable) -> None:
        """Wait a moment, and remember why. Raises the error when nobody is to wait any more."""
        if isinstance(error, BusAway) and self.switch.ready.is_set():
            self._begin_anew(error)
        if self._given_up(error):
            raise error
        self._why = f"{error.message}. It tries again until {self.within:.0f} s are over"
        await pause(self.switch.stop, min(FIRST * 2.0**self._tries, LONGEST) * random.uniform(0.7, 1.0))
        if self.switch.stop.is_set():
            raise error

    def _begin_anew(self, error: BusAway) -> None:
        self.say(f"{self.name} lost the bus: {error.message}. It begins anew.")
        self.switch.ready.clear()
        self.began, self._tries = time.monotonic(), 0
        self._listen()

    def _given_up(self, error: Unavailable) -> bool:
        over = time.monotonic() - self.began >= self.within
        return over or self.switch.ready.is_set() or self.switch.stop.is_set() or hopeless(error)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """It is said why as long as nothing is ready, also when nothing comes back at all."""
        self._listen()
        try:
            yield
        finally:
            self._hush()

    def _hush(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _listen(self) -> None:
        self._hush()
        self._timer = asyncio.get_running_loop().call_later(SAID_EVERY, self._tell)

    def _tell(self) -> None:
        if not (self.switch.ready.is_set() or self.switch.stop.is_set()):
            self.say(f"{self.name} is not ready after {time.monotonic() - self.began:.0f} s: {self._why}.")
            self._listen()
