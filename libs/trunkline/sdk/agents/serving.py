"""Puts an agent together and lets it work: the bus in a thread of its own, the handlers where the program is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from trunkline.sdk.agents.asking import Door
from trunkline.sdk.agents.blocked import BlockWatch
from trunkline.sdk.agents.carrying import Means
from trunkline.sdk.agents.claiming import Claims, Wanted
from trunkline.sdk.agents.context import Cancelled
from trunkline.sdk.agents.failing import AgentError
from trunkline.sdk.agents.outcomes import DRAINING
from trunkline.sdk.agents.wire import Wire
from trunkline.sdk.agents.workshop import Workshop
from trunkline.sdk.portal import Portal

log: Final = logging.getLogger("trunkline.agent")
LAST_WORDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: for handlers to finish when the agent drains; for one that is to end; until a loop that stands still is told of."""

    drain_s: float = 25.0
    cleanup_s: float = 5.0
    blocked_s: float = 1.0


class Serving:
    """One time that an agent works. `serve` returns when it has drained."""

    def __init__(self, wanted: Wanted, pace: Pace, wire: Callable[[], Wire]) -> None:
        self._wanted = wanted
        self._pace = pace
        self._wire = wire
        self._portal = Portal(_nothing)
        self._drain: Future[None] = Future()

    def drain(self) -> None:
        """From any thread, and as often as one likes."""
        if not self._drain.done():
            self._drain.set_result(None)

    async def serve(self) -> None:
        """Raises AgentError when it cannot go on. Cancelled, it ends its handlers and leaves their tasks to the next agent."""
        try:
            async with asyncio.TaskGroup() as group:
                shop = Workshop(group)
                await asyncio.wrap_future(self._portal.begin(self._work(shop)))
        except BaseExceptionGroup as errors:  # not `except*`: early releases of 3.11 wrap what is raised there once more
            failed, others = errors.split(AgentError)
            if failed is None or others is not None:
                raise
            raise _first(failed) from None
        finally:
            self._portal.close()

    async def _work(self, shop: Workshop) -> None:
        """All of it that has to do with the bus, in the portal's loop."""
        door = Door(wire := self._wire())
        claims = Claims(self._wanted, Means(door, shop, self._portal.begin, self._pace.cleanup_s), uuid4().hex)
        watch = BlockWatch(shop, self._pace.blocked_s, lambda task, sentence: _notice(claims, task, sentence))
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(work) for work in (wire.run(claims.heart.hear), claims.heart.run(), watch.run())]
            beside.append(group.create_task(self._drained(claims)))
            await claims.run(lambda: watch.blocked)
            for task in beside:
                task.cancel()

    async def _drained(self, claims: Claims) -> None:
        """Waits for the wish, lets handlers finish for a while, and ends those that do not."""
        await asyncio.wrap_future(self._drain)
        log.info("agent.drains", extra={"tasks": len(claims.carried)})
        await claims.drain()
        await asyncio.sleep(self._pace.drain_s)
        for one in list(claims.carried.values()):
            one.cancel(Cancelled(DRAINING, reason="the agent stops; the task goes to another one"))


def _notice(claims: Claims, task: str, sentence: str) -> None:
    """To the task that stands in the way, where that is known, else to all that stand still."""
    carried = list(claims.carried.values())
    known = [one for one in carried if one.leased.task_id == task]
    for one in known or [one for one in carried if one.in_loop]:
        one.notice(sentence)


def _first(errors: BaseExceptionGroup[AgentError]) -> AgentError:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, AgentError)
    return found


async def _nothing() -> None:
    """Whatever is to be closed was closed where it was opened."""
