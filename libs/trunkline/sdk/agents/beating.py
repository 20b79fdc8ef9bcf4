"""Tells the control plane that the agent is alive and works on its leases, and hears what becomes of them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from trunkline.contracts.agent import LEASE_S, Beat, Beaten, Pulse, Stopping, Word
from trunkline.sdk.agents.asking import Door
from trunkline.sdk.agents.carrying import Carrying
from trunkline.sdk.agents.context import Cancelled
from trunkline.sdk.agents.failing import AwayError, RefusedError

log: Final = logging.getLogger("trunkline.agent")
Carried = Mapping[str, Carrying]
"""By lease."""


class Heart:
    """Beats three times as often as a lease needs it, whatever the handlers do."""

    def __init__(self, door: Door, session: str, carried: Carried) -> None:
        self._door = door
        self._session = session
        self._carried = carried
        self.lease_s = LEASE_S
        self._shorter = asyncio.Event()

    def begin(self, one: Carrying, lease_s: float) -> None:
        """A lease that was given just now, for so many seconds."""
        if lease_s < self.lease_s:
            self._shorter.set()
        self.lease_s = lease_s
        one.good_until = asyncio.get_running_loop().time() + lease_s

    async def run(self) -> None:
        while True:
            heard = await self._beat() if self._beating() else True
            await self._rest(self.lease_s / (3 if heard else 15) * random.uniform(0.8, 1.0))

    async def _rest(self, seconds: float) -> None:
        """Unless leases turn out to be shorter than was thought."""
        self._shorter.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._shorter.wait()
        except TimeoutError:
            pass  # rested

    def hear(self, what: str, body: bytes) -> None:
        """What the control plane says by itself: only faster than the next beat would."""
        if what != "stop":
            return
        try:
            stop = Stopping.model_validate_json(body)
        except ValidationError:
            log.warning("agent.told_unreadable", extra={"what": what})
            return
        self._heed(Pulse(task_id=stop.task_id, lease=stop.lease, word=Word.STOP, stop=stop))

    def _beating(self) -> tuple[Carrying, ...]:
        return tuple(one for one in self._carried.values() if not one.reported)

    async def _beat(self) -> bool:
        """Whether it was heard."""
        beating, asked_at = self._beating(), asyncio.get_running_loop().time()
        beat = Beat(session=self._session, leases=tuple(one.held for one in beating))
        try:
            beaten = await self._door.once("beat", beat.written(), Beaten, self.lease_s / 3)
        except (AwayError, RefusedError) as error:
            log.warning("agent.beat_unheard", extra={"why": str(error)})
            self._expire(beating)
            return False
        self.lease_s = beaten.lease_s
        for pulse in beaten.leases:
            self._heed(pulse, asked_at)
        return True

    def _heed(self, pulse: Pulse, asked_at: float = 0.0) -> None:
        one = self._carried.get(pulse.lease)
        if one is None or one.reported:
            return
        match pulse.word:
            case Word.GOING:
                one.good_until = max(one.good_until, asked_at + self.lease_s)
            case Word.LOST:
                one.lose()
            case Word.STOP:
                one.good_until = max(one.good_until, asked_at + self.lease_s)
                stop = pulse.stop
                one.cancel(Cancelled(stop.cause, stop.by, stop.reason) if stop else Cancelled("cancelled"))

    def _expire(self, beating: tuple[Carrying, ...]) -> None:
        """Nobody may work on a task that may be somebody else's by now."""
        now = asyncio.get_running_loop().time()
        for one in beating:
            if now >= one.good_until:
                one.lose(f"no word from the control plane for {self.lease_s:.0f} s: it may be somebody else's by now")
