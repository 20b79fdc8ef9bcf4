"""Asks every service on the bus whether it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from trunkline.bus import Bus
from trunkline.bus.commands import NOBODY
from trunkline.contracts.errors import DomainError
from trunkline.contracts.integrity import GetIntegrity, Integrity, IntegrityView
from trunkline.runtime.clock import now

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

    async def integrity(self) -> Integrity | None:
        with suppress(DomainError, ValidationError):
            asked = GetIntegrity(tenant=NOBODY, at=now())
            told = await self.of.commands.send("relay", "-", asked, timeout=PING_TIMEOUT)
            return IntegrityView.model_validate(told.body).state
        return None

    def bus(self) -> bool:
        return self.of.connected
