"""What happens around an agent, in one order: its lines, its end, and moments at which to look around."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from enum import Enum
from typing import Final

from trunkline.bus import Bell
from trunkline.runtime.alongside import alongside
from trunkline_sandbox.ports import Exit, Line

BOUND: Final = 64
"""Lines that may wait; beyond it the reader of the output waits."""


class Moment(Enum):
    LOOK = "look"
    """Something was stored that concerns the run, or some time has passed."""
    END = "end"
    """The output ended without an exit."""


Happening = Line | Exit | Moment


class Listen:
    """`patience` says, each time, how many seconds may pass until the next look when nothing rings."""

    def __init__(self, output: AsyncIterator[Line | Exit], bell: Bell, patience: Callable[[], float]) -> None:
        self._output = output
        self._bell = bell
        self._patience = patience
        self._queue: asyncio.Queue[Happening] = asyncio.Queue(BOUND)
        self._looking = False

    async def until(self, over: Callable[[Happening], Awaitable[bool]]) -> None:
        """Give everything that happens to `over`, one at a time, until it says that all is over."""
        await alongside(self._give(over), alongside(self._ring(), self._read()))

    @property
    def quiet(self) -> bool:
        """Nothing waits to be heard."""
        return self._queue.empty()

    async def _give(self, over: Callable[[Happening], Awaitable[bool]]) -> None:
        while True:
            happening = await self._queue.get()
            if happening is Moment.LOOK:
                self._looking = False
            if await over(happening):
                return

    async def _read(self) -> None:
        async for thing in self._output:
            await self._queue.put(thing)
        await self._queue.put(Moment.END)

    async def _ring(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience()):
                    await self._bell.rung.wait()
            self._bell.rung.clear()
            if not self._looking:
                self._looking = True
                await self._queue.put(Moment.LOOK)
