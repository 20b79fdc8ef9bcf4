"""Timers of dispatches, kept by nats-server."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from trunkline.bus import Timers
from trunkline_relay.ports import DueDispatch


class BusDispatchTimers:
    """ports.DispatchTimers: one for each dispatch, whatever it is for."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    async def set(self, due: DueDispatch, at: datetime) -> None:
        name = sha256(f"{due.tenant}/{due.task}".encode()).hexdigest()[:32]
        await self._timers.set("dispatch", name, at, ("relay", "dispatch"), due)
