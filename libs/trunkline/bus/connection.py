"""Connecting to the bus: two connections, the streams made sure of, and everything a service needs in one value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from trunkline.bus.background import background
from trunkline.bus.commands import Commands
from trunkline.bus.dead import DeadLetters
from trunkline.bus.direct import DirectReader
from trunkline.bus.inlet import Inlet
from trunkline.bus.live import Live
from trunkline.bus.log import Log
from trunkline.bus.settings import BusSettings
from trunkline.bus.streams import bootstrap
from trunkline.bus.timers import Timers
from trunkline.bus.work import Work
from trunkline.contracts.errors import Unavailable

log = structlog.get_logger()

CONNECT_WITHIN: Final = 30.0
STOP_WITHIN: Final = 3.0
_OPTIONS: Final[dict[str, Any]] = {
    "max_reconnect_attempts": -1,
    "reconnect_time_wait": 0.1,
    "connect_timeout": 2,
    "ping_interval": 5,
    "max_outstanding_pings": 2,
    "flush_timeout": 5,
}


@dataclass(frozen=True, slots=True)
class Bus:
    """Everything a service may do on the bus."""

    client: Client
    epoch: str
    commands: Commands
    log: Log
    live: Live
    inlet: Inlet
    work: Work
    timers: Timers
    dead: DeadLetters

    @property
    def connected(self) -> bool:
        return self.client.is_connected


@asynccontextmanager
async def connect(settings: BusSettings, name: str) -> AsyncIterator[Bus]:
    """A connected bus; leaving it stops hearing first, then lets go. Raises Unavailable after half a minute."""
    reconnects: list[Callable[[], None]] = []
    client = await _client(settings, name, reconnects)
    try:
        # Handlers take the message itself: type casting and injection would cost more than all the rest of a delivery.
        plain: dict[str, Any] = {"logger": None, "apply_types": False, "serializer": None, "graceful_timeout": STOP_WITHIN}
        broker = NatsBroker(settings.address(), name=f"{name}-inlet", **plain, **_OPTIONS)
        js = client.jetstream(timeout=5)
        epoch = await bootstrap(js, replicas=settings.replicas, events_days=settings.events_days)
        bus, direct = _assembled(client, js, broker, epoch)
        reconnects.extend((bus.live.missed, bus.inlet.reconnected))
        async with _running(bus, direct):
            yield bus
    finally:
        await client.close()


def _assembled(client: Client, js: JetStreamContext, broker: NatsBroker, epoch: str) -> tuple[Bus, DirectReader]:
    direct = DirectReader(client)
    live = Live(client, js, direct, epoch)
    dead = DeadLetters(js)
    bus = Bus(client, epoch, Commands(client), Log(js, direct, live), live, Inlet(client, broker, dead), Work(js, dead), Timers(js), dead)
    return bus, direct


@asynccontextmanager
async def _running(bus: Bus, direct: DirectReader) -> AsyncIterator[None]:
    await direct.start()
    async with background(bus.live.watch):
        try:
            yield
        finally:
            await bus.inlet.stop()


async def _client(settings: BusSettings, name: str, reconnects: list[Callable[[], None]]) -> Client:
    client = Client()

    async def reconnected() -> None:
        log.info("bus.reconnected")
        for tell in reconnects:
            tell()

    async def failed(error: Exception) -> None:
        log.debug("bus.error", error=f"{type(error).__name__}: {error}")

    async def disconnected() -> None:
        if not client.is_closed and not client.is_draining:
            log.warning("bus.disconnected")

    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            await client.connect(
                settings.address(), name=name, error_cb=failed, disconnected_cb=disconnected, reconnected_cb=reconnected, **_OPTIONS
            )
            return client
    except (OSError, TimeoutError, NatsError) as error:
        raise Unavailable(f"nats-server does not answer at {settings.nats_url}: {error}", code="BUS_AWAY") from error
