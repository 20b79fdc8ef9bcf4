"""Asks for work while there is room, and carries what comes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.contracts.agent import ANSWERED_WITHIN_S, MOST_ROOM, MOST_WAIT_S, AgentReported, Claim, Claimed, Leased, Report
from trunkline.contracts.message import Message
from trunkline.sdk.agents.beating import Heart
from trunkline.sdk.agents.carrying import Carrying, Means
from trunkline.sdk.agents.failing import AwayError, RefusedError
from trunkline.sdk.agents.signatures import Handler
from trunkline.sdk.retrying import Patience

log: Final = logging.getLogger("trunkline.agent")
ANY: Final = ""
"""The type of the handler that takes what no other takes."""
LOOK_EVERY: Final = 0.5
LAST_CLAIM_S: Final = 5.0
"""Seconds in which a claim that is not wanted any more is answered."""
_BACKOFF: Final = Patience(first=0.2, longest=15.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What work an agent takes: of which pools, by which handlers, how many at once."""

    pools: tuple[str, ...]
    handlers: Mapping[str, Handler]
    at_once: int

    @property
    def types(self) -> tuple[str, ...]:
        return () if ANY in self.handlers else tuple(self.handlers)

    def handler(self, type: str) -> Handler | None:
        return self.handlers.get(type, self.handlers.get(ANY))


class Claims:
    """The tasks in the agent's hands. `busy` says that none should be added just now, room or not."""

    def __init__(self, wanted: Wanted, means: Means, session: str) -> None:
        self.carried: dict[str, Carrying] = {}
        self.heart = Heart(means.door, session, self.carried)
        self._wanted = wanted
        self._means = means
        self._session = session
        self._changed = asyncio.Event()
        self._waiting: asyncio.Timeout | None = None
        self.draining = asyncio.Event()

    async def run(self, busy: Callable[[], bool]) -> None:
        """Until `drain`, and until what is carried then is over."""
        async with asyncio.TaskGroup() as group:
            tries = 0
            while not self.draining.is_set():
                room = min(self._wanted.at_once - len(self.carried), MOST_ROOM)
                if room <= 0 or busy():
                    await self._rest()
                    continue
                tries = 0 if await self._claim(room, group) else tries + 1
                if tries:
                    await self._rest(_BACKOFF.backoff(tries, random.random()))

    async def drain(self) -> None:
        """Take nothing any more; a claim that waits is ended, and what it still brings goes back."""
        self.draining.set()
        self._changed.set()
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time() + LAST_CLAIM_S)
            try:
                await self._means.door.ask("claim", self._wish(0), Claimed, within=LAST_CLAIM_S)
            except (AwayError, RefusedError) as error:
                log.warning("agent.claim_not_ended", extra={"why": str(error)})

    async def _rest(self, seconds: float = LOOK_EVERY) -> None:
        """Until something changes, for a moment at most."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass  # looked at again

    async def _claim(self, room: int, group: asyncio.TaskGroup) -> bool:
        """Whether it was answered."""
        try:
            async with asyncio.timeout(None) as self._waiting:
                claimed = await self._means.door.once("claim", self._wish(room).written(), Claimed, MOST_WAIT_S + ANSWERED_WITHIN_S)
        except (AwayError, RefusedError, TimeoutError) as error:
            log.warning("agent.claim_refused", extra={"why": str(error) or "no answer in time"})
            return False
        finally:
            self._waiting = None
        for leased in claimed.tasks:
            if leased.lease not in self.carried:
                self._take(leased, claimed.lease_s, group)
        return True

    def _wish(self, room: int) -> Claim:
        wait_s = MOST_WAIT_S if room else 0.0
        holding = tuple(one.held for one in self.carried.values())
        pools, types = self._wanted.pools, self._wanted.types
        return Claim(session=self._session, holding=holding, pools=pools, types=types, room=room, wait_s=wait_s, begin=True)

    def _take(self, leased: Leased, lease_s: float, group: asyncio.TaskGroup) -> None:
        handler = self._wanted.handler(leased.type)
        if handler is None or self.draining.is_set() or len(self.carried) >= self._wanted.at_once:
            group.create_task(self._hand_back(leased))
            return
        one = Carrying(leased, handler, self._means)
        self.carried[leased.lease] = one
        self.heart.begin(one, lease_s)
        group.create_task(self._carry(one))

    async def _carry(self, one: Carrying) -> None:
        try:
            await one.run()
        except Exception:  # a defect of ours must not end the other tasks
            log.exception("agent.task_dropped", extra={"task": one.leased.task_id})
        finally:
            self.carried.pop(one.leased.lease, None)
            self._changed.set()

    async def _hand_back(self, leased: Leased) -> None:
        report = Report(task_id=leased.task_id, lease=leased.lease, reported=AgentReported.RELEASED)
        try:
            await self._means.door.ask("report", report, Message, within=LAST_CLAIM_S)
        except (AwayError, RefusedError) as error:  # its lease runs out, and it is somebody else's
            log.warning("agent.not_handed_back", extra={"task": leased.task_id, "why": str(error)})
