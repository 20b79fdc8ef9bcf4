"""Asks every service on the bus whether it is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from trunkline.bus import Bus
from trunkline.bus.commands import NOBODY
from trunkline.contracts.errors import DomainError
from trunkline.contracts.integrity import GetIntegrity, Integrity, IntegrityView
from trunkline.runtime.clock import now

OTHERS: Final = ("router", "approvals", "sandbox", "relay")
PING_TIMEOUT: Final = 1.0
REMEMBERED: Final = 120.0
"""Seconds: of many relays each is heard of now and then, and one that is gone is forgotten."""
WORST: Final = (Integrity.OFF, Integrity.WHOLE, Integrity.CHECKING, Integrity.UNSIGNED, Integrity.BROKEN)


@dataclass(frozen=True, slots=True)
class Opinions:
    """What each relay said last of the log: any of them answers, and each keeps a book of its own."""

    by_relay: dict[str, tuple[float, Integrity]] = field(default_factory=dict)

    def worst(self, relay: str, state: Integrity, moment: float) -> Integrity:
        """Of all that was said until now, by whoever was heard of lately."""
        self.by_relay[relay] = (moment, state)
        for name in [name for name, (at, _) in self.by_relay.items() if moment - at > REMEMBERED]:
            del self.by_relay[name]
        return max((said for _, said in self.by_relay.values()), key=WORST.index)


@dataclass(frozen=True, slots=True)
class BusReadiness:
    """The gateway answers for itself; `open` is false once it drains."""

    of: Bus
    open: Callable[[], bool]
    opinions: Opinions = field(default_factory=Opinions)

    async def services(self) -> Mapping[str, bool]:
        async with asyncio.TaskGroup() as group:
            asked = {name: group.create_task(self.of.commands.ping(name, PING_TIMEOUT)) for name in OTHERS}
        return {"gateway": self.open(), **{name: task.result() for name, task in asked.items()}}

    async def integrity(self) -> Integrity | None:
        """The worst that a relay said a little while ago; None when nobody answers."""
        with suppress(DomainError, ValidationError):
            asked = GetIntegrity(tenant=NOBODY, at=now())
            told = await self.of.commands.send("relay", "-", asked, timeout=PING_TIMEOUT)
            view = IntegrityView.model_validate(told.body)
            return self.opinions.worst(view.relay, view.state, time.monotonic())
        return None

    async def bus(self) -> bool:
        return self.of.connected and await self.of.commands.server_answers(PING_TIMEOUT)
