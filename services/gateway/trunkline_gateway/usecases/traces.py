"""What can be asked about traces: everything that happened under one name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.auth.policy import sees_all
from trunkline.auth.principal import Principal
from trunkline.contracts.views import GetTrace, TraceView
from trunkline_gateway.ports import Commands

RELAY: Final = "relay"
NO_ID: Final = "-"


@dataclass(frozen=True, slots=True)
class Traces:
    commands: Commands
    now: Callable[[], datetime]

    async def trace(self, principal: Principal, trace_id: str, limit: int) -> TraceView:
        """Raises NotFound when nothing carries it that the caller may see, Unavailable."""
        whose = None if sees_all(principal) else principal.subject
        command = GetTrace(tenant=principal.tenant, at=self.now(), trace_id=trace_id, limit=limit, seen_by=whose)
        return TraceView.model_validate((await self.commands.send(RELAY, NO_ID, command)).body)
