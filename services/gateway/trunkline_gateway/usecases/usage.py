"""What can be asked about usage: what the models of a tenant were asked, and what that cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from trunkline.auth.principal import Principal
from trunkline.contracts.usage import GetUsage, UsageView
from trunkline_gateway.ports import Commands

RELAY: Final = "relay"
NO_ID: Final = "-"
USUAL: Final = timedelta(days=29)
"""Before the last day: a month, as bills go."""


@dataclass(frozen=True, slots=True)
class Usage:
    commands: Commands
    now: Callable[[], datetime]

    async def of(self, principal: Principal, since: date | None, until: date | None) -> UsageView:
        """Days in UTC, both included; by default the last thirty. Raises Invalid, Unavailable."""
        last = until or self.now().astimezone(UTC).date()
        command = GetUsage(tenant=principal.tenant, at=self.now(), since=since or last - USUAL, until=last)
        return UsageView.model_validate((await self.commands.send(RELAY, NO_ID, command)).body)
