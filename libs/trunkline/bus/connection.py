"""Connecting to the bus: two connections, the streams made sure of, and everything a service needs in one value."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from faststream.nats import NatsBroker
from faststream.nats.security import NatsSecurity, NatsToken, NatsUserPassword
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError

from trunkline.bus import headers
from trunkline.bus.agent_calls import AgentCalls, Told
from trunkline.bus.answers import Answers
from trunkline.bus.away import BusAway
from trunkline.bus.beats import Beats
from trunkline.bus.bootstrap import bootstrap, refusal
from trunkline.bus.commands import Commands
from trunkline.bus.counters import Counters
from trunkline.bus.dead import DeadLetters
from trunkline.bus.depths import Depths
from trunkline.bus.direct import DirectReader
from trunkline.bus.floors import Floors
from trunkline.bus.handing import Hands
from trunkline.bus.inlet import Inlet
from trunkline.bus.ledger import Heard, Ledger
from trunkline.bus.limits import Limits
from trunkline.bus.live import Live
from trunkline.bus.log import Log
from trunkline.bus.log_life import LogLife
from trunkline.bus.memos import Memos
from trunkline.bus.nudges import Nudges
from trunkline.bus.patience import patiently
from trunkline.bus.roll import Roll
from trunkline.bus.settings import BusSettings
from trunkline.bus.telling import telling
from trunkline.bus.timers import Timers
from trunkline.bus.traces import Traces
from trunkline.bus.vault import Vault
from trunkline.bus.vital import vital
from trunkline.bus.watching import Watch
from trunkline.bus.work import Work
from trunkline.bus.writing import outlive
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
    life: LogLife
    epoch: str
    epoch_at: Callable[[int], str]
    """The life of the log in which a record was stored."""
    seal: bytes
    commands: Commands
    log: Log
    live: Live
    inlet: Inlet
    work: Work
    timers: Timers
    dead: DeadLetters
    limits: Limits
    memos: Memos
    roll: Roll
    counters: Counters
    nudges: Nudges
    vault: Callable[[bytes], Vault]
    """Opened with a key of 32 bytes; without one it only forgets."""
    ledger: Callable[[str], Ledger]
    """Of a stream; to be started."""
    heard: Callable[[Ledger, str], Heard]
    """A ledger's records that match, as they come."""
    beats: Beats
    agent_calls: AgentCalls
    told: Told
    hands: Hands
    watch: Watch
    traces: Traces
    depths: Depths

    @property
    def connected(self) -> bool:
        return self.client.is_connected


Beside = Callable[[Bus], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def connect(settings: BusSettings, name: str, beside: Beside | None = None) -> AsyncIterator[Bus]:
    """A connected bus; leaving it stops hearing first, then lets go. Raises Unavailable after half a minute.

    What is `beside` it is there while it is, and a little longer than it hears.
    """
    events = _Events()
    client = await _client(settings, name, events)
    try:
        # Handlers take the message itself: type casting and injection would cost more than all the rest of a delivery.
        plain: dict[str, Any] = {"logger": None, "apply_types": False, "serializer": None, "graceful_timeout": STOP_WITHIN}
        security = _security(settings)
        addresses = settings.places() if security else settings.addresses()
        broker = NatsBroker(addresses, name=f"{name}-inlet", security=security, **plain, **_OPTIONS)
        js = client.jetstream(timeout=5)
        life = await _made(client, js, settings)
        await (answers := Answers(client)).start()
        async with telling(settings, name, client) as watch:
            bus, direct = _assembled((answers, js), broker, life, watch)
            events.tell.extend((bus.live.missed, answers.reconnected, bus.inlet.reconnected, bus.roll.reconnected, bus.work.reconnected))
            events.tell.append(bus.hands.reconnected)
            events.tell.append(partial(watch.meters.count, "bus_reconnects_total"))
            await direct.start()
            async with beside(bus) if beside else nullcontext(), _hearing(bus, events):
                yield bus
    finally:
        await client.close()


async def _made(client: Client, js: JetStreamContext, settings: BusSettings) -> LogLife:
    try:
        return await patiently(lambda: bootstrap(client, js, replicas=settings.replicas, events_days=settings.events_days))
    except APIError as error:
        raise refusal(error, settings.replicas) from error


def _security(settings: BusSettings) -> NatsSecurity | None:
    match settings.credentials():
        case {"user": user, "password": password}:
            return NatsUserPassword(user, password)
        case {"token": token}:
            return NatsToken(token)
    return None


@asynccontextmanager
async def _hearing(bus: Bus, events: _Events) -> AsyncIterator[None]:
    """Inside the block all goes on that a service cannot be without; at its end nothing more is heard, whatever ended it."""
    try:
        async with vital(bus.live.watch, bus.inlet.pull, bus.roll.watch, events.until_closed):
            yield
    finally:
        await bus.inlet.stop()


def _assembled(ways: tuple[Answers, JetStreamContext], broker: NatsBroker, life: LogLife, watch: Watch) -> tuple[Bus, DirectReader]:
    answers, js = ways
    client = answers.client
    direct = DirectReader(client, js, replicated=life.replicas > 1)
    live = Live(client, js, direct, life)
    dead = DeadLetters(answers)
    counted, memos = Limits(answers, life.replicas), Memos(answers, js, replicated=life.replicas > 1)
    log_, work, timers = Log(answers, js, direct, live), Work(answers, js, dead, watch), Timers(answers, js)
    inlet = Inlet(client, broker, dead, log_.known, watch)
    inlet.floors = Floors(answers, life)
    log_.refused, dead.kept = partial(watch.meters.count, "appends_refused_total"), partial(watch.meters.count, "dead_letters_total")
    roll, nudges = Roll(answers, js, replicated=life.replicas > 1), Nudges(client)
    counters = Counters(answers, js, replicated=life.replicas > 1)
    parts = (Commands(answers), log_, live, inlet, work, timers, dead, counted, memos, roll, counters, nudges)

    def vault(key: bytes) -> Vault:
        return Vault(answers, js, key, replicated=life.replicas > 1)

    def ledger(stream: str) -> Ledger:
        return Ledger(answers, js, stream, replicated=life.replicas > 1)

    beats, traces = Beats(client, js, replicated=life.replicas > 1), Traces(client, js, replicated=life.replicas > 1)
    by_agents = AgentCalls(client, watch), Told(client), Hands(answers, dead, watch)
    every = (*parts, vault, ledger, partial(Heard, answers), beats, *by_agents, watch, traces, Depths(watch, js))
    return Bus(client, life, life.epoch, life.epoch_at, life.seal, *every), direct


class _Events:
    """What happens to a connection, and who is told."""

    def __init__(self) -> None:
        self.tell: list[Callable[[], None]] = []
        self.client = Client()
        self._closed = asyncio.Event()

    async def reconnected(self) -> None:
        log.info("bus.reconnected")
        for tell in self.tell:
            tell()

    async def failed(self, error: Exception) -> None:
        usual = isinstance(error, (OSError, EOFError, TimeoutError, NatsError))
        log.log(logging.DEBUG if usual else logging.WARNING, "bus.error", error=f"{type(error).__name__}: {error}")

    async def disconnected(self) -> None:
        if not self.client.is_closed and not self.client.is_draining:
            log.warning("bus.disconnected")

    async def closed(self) -> None:
        self._closed.set()

    async def until_closed(self) -> None:
        """Returns never: a connection that is closed for good, as after a change of credentials, is the end of its service."""
        await self._closed.wait()
        raise BusAway("nats-server closed the connection for good; are the credentials still right?", code="BUS_CLOSED")


async def _client(settings: BusSettings, name: str, events: _Events) -> Client:
    client = events.client
    client._parse_header_lines = headers.read  # type: ignore[method-assign]  # 5 of 7 us for each message
    outlive(client)
    callbacks: dict[str, Any] = {
        "error_cb": events.failed,
        "disconnected_cb": events.disconnected,
        "reconnected_cb": events.reconnected,
        "closed_cb": events.closed,
    }
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            # All subjects are made by functions of ours, of tokens that were looked at.
            options = {**callbacks, **_OPTIONS, **settings.credentials()}
            await client.connect(settings.addresses(), name=name, skip_subject_validation=True, **options)
            return client
    except (OSError, TimeoutError, NatsError) as error:
        reason = str(error) or type(error).__name__
        raise Unavailable(f"nats-server does not answer at {settings.shown()}: {reason}", code="BUS_AWAY") from error
