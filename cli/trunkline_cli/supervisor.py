"""Keeps things alive: what ends is started again, sooner at first and later each time, and every time it is said."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from trunkline.contracts.errors import Conflict, Denied, DomainError, Invalid, Unsupported

FIRST: Final = 0.2
LONGEST: Final = 5.0
HEALTHY: Final = 5.0
"""Seconds of life after which earlier deaths are forgotten."""
HOPELESS: Final = (Invalid, Unsupported, Denied, Conflict)
"""Refusals that another try cannot mend: said once, and nothing is started."""
HOPELESS_CODES: Final = ("NO_BUBBLEWRAP", "FOREIGN_STREAM")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Switch:
    """How a life tells that it is ready, and hears that it is to end."""

    ready: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class Life(Protocol):
    """One life of one thing, from start to end."""

    async def __call__(self, switch: Switch) -> str:
        """Live; returns how it ended. Cancelling it kills at once. Raises DomainError when it refuses to start."""
        ...


@dataclass(frozen=True, slots=True)
class Unit:
    """Something to be kept alive."""

    name: str
    life: Life
    switch: Switch = field(default_factory=Switch)


def delay(deaths: int, chance: float) -> float:
    """Seconds to wait after so many deaths in a row (from 1): 0.2, 0.4, 0.8 … 5, and up to a fifth more by chance (0 to 1)."""
    return min(FIRST * 2.0 ** (deaths - 1), LONGEST) * (1 + 0.2 * chance)


async def keep_alive(unit: Unit, say: Say) -> None:
    """Live again and again until told to stop. Raises DomainError when the first start is refused for good."""
    deaths, seen_ready = 0, False
    while not unit.switch.stop.is_set():
        began = time.monotonic()
        how = await _live(unit, say, hopeful=seen_ready)
        if unit.switch.stop.is_set():
            return
        seen_ready = seen_ready or unit.switch.ready.is_set()
        unit.switch.ready.clear()
        deaths = 1 if time.monotonic() - began > HEALTHY else deaths + 1
        wait = delay(deaths, 0 if deaths == 1 else random.random())
        say(f"{unit.name} ended ({how}); starting it again in {wait:.1f} s")
        await pause(unit.switch.stop, wait)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but not once stopped."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass  # the pause is over


async def _live(unit: Unit, say: Say, *, hopeful: bool) -> str:
    try:
        return await unit.life(unit.switch)
    except DomainError as error:
        if hopeful or unit.switch.ready.is_set() or not hopeless(error):
            return error.message
        say(f"{unit.name} cannot start: {error.message}")
        raise
    except Exception as error:
        return reason(error)


def hopeless(error: DomainError) -> bool:
    """Whether another try would end the same."""
    return isinstance(error, HOPELESS) or error.code in HOPELESS_CODES


def innermost(error: BaseException) -> BaseException:
    """The first exception inside however many groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def first_refusal(group: BaseExceptionGroup[BaseException]) -> DomainError:
    """The refusal that a group holds; raises the group again when it holds something else."""
    error = innermost(group)
    if isinstance(error, DomainError):
        return error
    raise group


def reason(error: BaseException) -> str:
    """The innermost cause, in a few words."""
    error = innermost(error)
    if isinstance(error, DomainError):
        return error.message
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
