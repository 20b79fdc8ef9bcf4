"""Deliveries that wait for room are tried as soon as there is some, webhook after webhook."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from trunkline.contracts.errors import DomainError
from trunkline_relay.handlers.slots import Slot, Slots
from trunkline_relay.model.hosts import Turn

log = structlog.get_logger()

TICK: Final = 0.5
"""Seconds after which the end of a rest is noticed at the latest."""
PAUSE: Final = 0.02
"""Seconds between two looks over all that wait."""


class WakeDeliveries:
    def __init__(self, slots: Slots, deliver: Callable[[Turn, Slot], Awaitable[None]]) -> None:
        """`deliver` gives the slot back."""
        self._slots = slots
        self._deliver = deliver

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                for turn, slot in self._slots.turns():
                    group.create_task(self._wake(turn, slot))
                await self._slots.stirred(TICK)
                await asyncio.sleep(PAUSE)

    async def _wake(self, turn: Turn, slot: Slot) -> None:
        try:
            await self._deliver(turn, slot)
        except Exception as error:  # whatever it is, the others are woken all the same, and its own timer tries it again
            names = {"delivery": turn.waiting.delivery_id, "webhook": turn.key.hook_id}
            if isinstance(error, DomainError):
                log.warning("webhook.delivery_not_woken", **names, code=error.code)
            else:
                log.exception("webhook.delivery_not_woken", **names)
