"""Asks every service on the bus whether it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.bus import Bus

OTHERS: Final = ("router", "approvals", "sandbox", "relay")
PING_TIMEOUT: Final = 1.0


@dataclass(frozen=True, slots=True)
class BusReadiness:
    """The gateway answers for itself; `open` is false once it drains."""

    of: Bus
    open: Callable[[], bool]

    async def services(self) -> Mapping[str, bool]:
        async with asyncio.TaskGroup() as group:
            asked = {name: group.create_task(self.of.commands.ping(name, PING_TIMEOUT)) for name in OTHERS}
        return {"gateway": self.open(), **{name: task.result() for name, task in asked.items()}}

    def bus(self) -> bool:
        return self.of.connected
