"""Notices that a handler blocks the event loop in which all of them work, and says where."""

from __future__ import annotations

import asyncio
import logging
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from trunkline.sdk.agents.workshop import Workshop

log: Final = logging.getLogger("trunkline.agent")
LOOK_EVERY: Final = 0.2
_STDLIB: Final = sysconfig.get_paths()["stdlib"]

Tell = Callable[[str, str], None]
"""Told which task blocks, where that can be seen, else "", and a sentence."""


class BlockWatch:
    """Lives in another thread than the loop that it watches. `blocked`: nothing goes on there."""

    def __init__(self, shop: Workshop, limit: float, tell: Tell) -> None:
        self._shop = shop
        self._limit = limit
        self._tell = tell
        self._asked = self._heard = 0
        self.blocked = False

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        asked_at, tell_at = loop.time(), self._limit
        while True:
            if self._heard == self._asked:
                if self.blocked:
                    log.warning("agent.loop_free", extra={"after_s": round(loop.time() - asked_at, 1)})
                self._asked, asked_at, tell_at, self.blocked = self._asked + 1, loop.time(), self._limit, False
                self._ask(self._asked)
            elif loop.time() - asked_at >= tell_at:
                self.blocked = True
                self._say(loop.time() - asked_at)
                tell_at *= 2
            await asyncio.sleep(min(LOOK_EVERY, self._limit / 2))

    def _ask(self, number: int) -> None:
        def answer() -> None:
            self._heard = number

        try:
            self._shop.loop.call_soon_threadsafe(answer)
        except RuntimeError:
            self._heard = number  # the loop is over: nothing blocks it

    def _say(self, seconds: float) -> None:
        task, where = _current(self._shop.loop), _where(sys._current_frames().get(self._shop.thread))
        log.warning("agent.loop_blocked", extra={"for_s": round(seconds, 1), "at": where, "task": task})
        self._tell(
            task,
            f"The agent's event loop stands still for {seconds:.1f} s at {where}: no other task of this agent goes on meanwhile. "
            "Await there, or make the handler a plain function, which gets a thread.",
        )


def _current(loop: asyncio.AbstractEventLoop) -> str:
    task = asyncio.current_task(loop)
    return task.get_name() if task is not None else ""


def _where(frame: FrameType | None) -> str:
    """The innermost place that is not Python's own."""
    found = innermost = frame
    while found is not None and found.f_code.co_filename.startswith((_STDLIB, "<")):
        found = found.f_back
    found = found or innermost
    return "an unknown place" if found is None else f"{found.f_code.co_name} ({Path(found.f_code.co_filename).name}:{found.f_lineno})"
