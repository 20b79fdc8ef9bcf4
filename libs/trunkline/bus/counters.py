"""Counters that nats-server adds up: one for each tenant, day and measure, exact for however many services add to it."""

from __future__ import annotations

import json
from typing import Final

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from trunkline.bus.answers import Answers
from trunkline.bus.patience import patiently
from trunkline.bus.publish import acknowledged
from trunkline.bus.streams import SPEND
from trunkline.contracts import subjects
from trunkline.contracts.ids import TenantId

_ADD: Final = "Nats-Incr"


class Counters:
    """Every counter of the installation."""

    def __init__(self, answers: Answers, js: JetStreamContext, *, replicated: bool) -> None:
        self._answers = answers
        self._js = js
        self._replicated = replicated

    async def add(self, tenant: TenantId, day: str, what: str, amount: int, *, id: str) -> int:
        """The total after it; `day` as yyyymmdd. The same `id` again within an hour, whatever the counter, adds nothing. Raises BusAway."""
        subject = subjects.spent(tenant, day, what)
        said = await acknowledged(self._answers, subject, b"", id=id, headers={_ADD: str(amount)})
        return int(said["val"]) if "val" in said else await self.total(tenant, day, what)

    async def total(self, tenant: TenantId, day: str, what: str) -> int:
        """0 where nothing was added. Raises BusAway."""
        subject = subjects.spent(tenant, day, what)
        try:
            found = await patiently(lambda: self._js.get_last_msg(SPEND, subject, direct=not self._replicated))
        except NotFoundError:
            return 0
        return int(json.loads(found.data or b"{}")["val"])
