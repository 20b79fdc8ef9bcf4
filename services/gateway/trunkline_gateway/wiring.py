"""Names the concrete things the gateway is made of; read top to bottom, it is how the gateway starts and stops."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NamedTuple

import structlog
from aiohttp import web

from trunkline.auth.instance_keys import InstanceKeys
from trunkline.auth.keys import KeyRing
from trunkline.auth.signing_keys import SigningKeys
from trunkline.auth.tokens import Secrets, Tokens
from trunkline.bus import Bus, connect
from trunkline.bus.beats import GatheredBeats
from trunkline.bus.vital import vital
from trunkline.contracts.errors import Conflict
from trunkline.runtime import clock, ids
from trunkline.runtime.health import beside
from trunkline_gateway import app, channel
from trunkline_gateway.adapters import cors, descriptors, door, hub, limiter, wire
from trunkline_gateway.adapters.agents_door import agents_let_in
from trunkline_gateway.adapters.company import Company
from trunkline_gateway.adapters.credentials import identity
from trunkline_gateway.adapters.feed import BusFeed
from trunkline_gateway.adapters.instance_keys import KeysAndCredentials
from trunkline_gateway.adapters.memory import BusMemory
from trunkline_gateway.adapters.readiness import BusReadiness
from trunkline_gateway.apidocs.routes import ApiDocs
from trunkline_gateway.body import BodyReader
from trunkline_gateway.channel import Channels
from trunkline_gateway.dialect import Dialect
from trunkline_gateway.dialects.github.decode import Customs
from trunkline_gateway.dialects.github.routes import GitHub
from trunkline_gateway.dialects.omnara import routes as omnara
from trunkline_gateway.dialects.omnara.visitors import InstanceCallers
from trunkline_gateway.dialects.omni import encode as omni_encode
from trunkline_gateway.dialects.omni import names as omni
from trunkline_gateway.dialects.omni.routes import STORY, Omni
from trunkline_gateway.dialects.omni.routes_knowledge import KnowledgeRoutes
from trunkline_gateway.dialects.omni.routes_realtime import RealtimeRoutes, Ways
from trunkline_gateway.dialects.omni.routes_sandboxes import SandboxRoutes
from trunkline_gateway.dialects.omni.routes_snapshots import SnapshotRoutes
from trunkline_gateway.dialects.omni.visitors import KeyHolders
from trunkline_gateway.dialects.orchestrator.routes import Means, Orchestrator, Verbs
from trunkline_gateway.dialects.orchestrator.routes_front import About
from trunkline_gateway.dialects.pr_agent.routes import PrAgent
from trunkline_gateway.observing import Observer
from trunkline_gateway.pages.routes import Pages
from trunkline_gateway.pipeline import Pipeline
from trunkline_gateway.ports import Bearers, Person
from trunkline_gateway.settings import Settings
from trunkline_gateway.sockets import Manners, Sockets
from trunkline_gateway.sse import StreamLimits, Streams
from trunkline_gateway.usecases import Approvals, Events, Steering, Tasks, Traces
from trunkline_gateway.usecases.desk import Desk
from trunkline_gateway.usecases.dispatching import Dispatching
from trunkline_gateway.usecases.flights import Flights
from trunkline_gateway.usecases.forge import Forge
from trunkline_gateway.usecases.forge_news import ForgeNews
from trunkline_gateway.usecases.guests import Guests, Pro
from trunkline_gateway.usecases.instance_stream import InstanceStream
from trunkline_gateway.usecases.instances import Instances
from trunkline_gateway.usecases.knowledge import Knowledge
from trunkline_gateway.usecases.letters import Letters
from trunkline_gateway.usecases.realtime import Realtime
from trunkline_gateway.usecases.repositories import Repositories
from trunkline_gateway.usecases.run_news import RunNews
from trunkline_gateway.usecases.sandboxes import Sandboxes
from trunkline_gateway.usecases.schedules import Schedules
from trunkline_gateway.usecases.shown import Shown
from trunkline_gateway.usecases.snapshots import Snapshots
from trunkline_gateway.usecases.telling import Telling
from trunkline_gateway.usecases.tiers import Tiers
from trunkline_gateway.usecases.usage import Usage
from trunkline_gateway.usecases.webhooks import Webhooks

log = structlog.get_logger()

DELIVERY: Final = 2 << 20
"""Bytes: GitHub's events about comments and pull requests are a tenth of that; what is larger tells of pushes."""
BACKLOG: Final = 1024
"""Connections waiting to be accepted: a burst of clients that come back at once is not refused."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Entered, it serves; left, open streams are closed cleanly and requests under way get `drain_s` to end."""
    async with connect(settings, "gateway", beside(settings, "gateway")) as bus, vouching(settings) as forge:
        await bus.roll.start()
        streams = Streams(_stream_limits(settings), lambda: bus.roll.changes)
        who = identity(settings, bus.roll, clock.now, seal=bus.seal)
        counting, memory = await limiter.limiter(bus.limits, settings), BusMemory(bus.memos, ids.new_id)
        bearers = KeysAndCredentials(InstanceKeys(settings.sealing_key, time.time), bus.roll, who.credentials)
        tiers = Tiers(counting, settings.upgrade_url, forge.guests is not None)
        spoken = dialects(bus, streams, Callers(who.desk, forge, tiers, bearers), settings)
        pipeline = Pipeline(who.credentials.identify, counting, memory, _body(settings))
        site = app.build(spoken, pipeline, Observer(bus.watch.tracer, bus.watch.meters))
        bus.watch.meters.ask("streams_open", lambda: len(streams))
        bus.watch.hears = lambda: streams.taking
        async with vital(memory.tie_loose_ends), agents_let_in(bus, settings, who.credentials), serving(site, settings) as port:
            log.info("gateway.ready", host=settings.host, port=port)
            try:
                yield
            finally:
                streams.end()


@asynccontextmanager
async def vouching(settings: Settings) -> AsyncIterator[Forge]:
    """GitHub, for what is asked of it: who somebody is, and which repositories there are. Raises Invalid for an address that is none."""
    if settings.forge == "local" and not settings.asks_github:
        yield Forge()
        return
    async with (
        hub.hub(settings.github_api_url, settings.github_lookup_token) as github,
        Flights[Person]("GitHub") as people,
        Flights[bool]("GitHub") as places,
    ):
        guests = Guests(github, people, Pro(frozenset(settings.pro_users))) if settings.asks_github else None
        yield Forge(guests, Repositories(github, places, guests) if settings.forge == "github" else None)


@asynccontextmanager
async def serving(site: app.Site, settings: Settings) -> AsyncIterator[int]:
    """Listens; gives the port that was taken. Raises Conflict when it is in use."""
    pages = cors.Cors(frozenset(settings.cors_origins), omni.CLAIMS)
    if pages.origins:
        site.checks.insert(0, pages.note)
        site.early.append(pages.preflight)
    site.checks.append(door.guard(door.door(settings), pages))
    server = wire.server(site.answer)
    runner = web.ServerRunner(server, shutdown_timeout=settings.drain_s)
    await runner.setup()
    try:
        company = Company(site.patient)
        listener = await _listen(lambda most: wire.connection(server, site.claims, company, most), settings)
        try:
            yield int(listener.sockets[0].getsockname()[1])
        finally:
            listener.close()
            company.disperse()
    finally:
        await runner.cleanup()


async def _listen(connection: Callable[[int], asyncio.Protocol], settings: Settings) -> asyncio.Server:
    """As web.TCPSite does, which knows no way to have a say in what a connection is made of; `connection` is told how many there may be."""
    most = descriptors.connections(settings.stream_limit)
    try:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: connection(most), settings.host, settings.port, backlog=BACKLOG)
    except OSError as error:
        place = f"{settings.host}:{settings.port}"
        message = f"cannot listen on {place}: {error.strerror or error}. Stop what holds the port, or choose another with --port"
        raise Conflict(message, code="PORT_NOT_FREE") from error


class Callers(NamedTuple):
    """What is known about callers: their tokens, what the forge says of them, and how much they may ask for."""

    desk: Desk
    forge: Forge
    tiers: Tiers
    bearers: Bearers


def dialects(bus: Bus, streams: Streams, callers: Callers, settings: Settings) -> Sequence[Dialect]:
    """Everything that this gateway speaks, and the document about it."""
    tasks = Tasks(bus.commands, BusFeed(bus), clock.now, ids.new_task_id, settings.deadline_s, bus.vault(settings.sealing_key))
    spoken = (
        _pr_agent(bus, tasks, streams, callers, settings),
        Pages(tasks, Shown(tasks, bus.seal)),
        _github(bus, tasks, settings),
        _omni(bus, tasks, streams, callers.desk.keys, settings),
        _omnara(bus, tasks, streams, callers.bearers, settings),
        Orchestrator(_verbs(bus, tasks, callers.desk), _means(bus, streams, settings), About(_version(), settings.public_url)),
    )
    return (*spoken, ApiDocs(spoken, _version()))


def _pr_agent(bus: Bus, tasks: Tasks, streams: Streams, callers: Callers, settings: Settings) -> PrAgent:
    webhooks = Webhooks(bus.commands, tasks, clock.now)
    body, cache, tiers = _body(settings), settings.frame_cache, callers.tiers
    return PrAgent(tasks, streams, body, cache, callers.forge, webhooks=webhooks, tiers=tiers, seal=bus.seal)


def _verbs(bus: Bus, tasks: Tasks, desk: Desk) -> Verbs:
    sent, steering = bus.commands, Steering(bus.commands, tasks, clock.now)
    approvals, events, traces = Approvals(sent, tasks, clock.now), Events(sent, tasks, clock.now), Traces(sent, clock.now, bus.traces)
    webhooks, schedules = Webhooks(sent, tasks, clock.now), Schedules(sent, clock.now, tasks.deadline_s)
    letters = Letters(sent, clock.now)
    return Verbs(tasks, approvals, events, traces, desk, steering, Usage(sent, clock.now), webhooks, schedules, letters)


def _means(bus: Bus, streams: Streams, settings: Settings) -> Means:
    return Means(streams, _body(settings), BusReadiness(bus, lambda: streams.taking), bus.seal, settings.frame_cache)


def _github(bus: Bus, tasks: Tasks, settings: Settings) -> GitHub:
    news = ForgeNews(tasks, bus.commands, clock.now, settings.github_tenants, bus.seal)
    body = BodyReader(DELIVERY, settings.body_depth, settings.body_deadline_s)
    runs, customs = (
        RunNews(bus.commands, clock.now, settings.github_tenants),
        Customs(settings.github_command, settings.github_label, settings.github_starters),
    )
    return GitHub(news, runs, body, customs, settings.webhook_secrets)


def _omni(bus: Bus, tasks: Tasks, streams: Streams, keys: KeyRing, settings: Settings) -> Omni:
    feed = BusFeed(bus)
    channels = Channels(channel.Means(feed, lambda tenant: Telling(feed, tenant, STORY), omni_encode.frame))
    ways = Ways(channels, feed, streams, Sockets(streams, Manners(omni_encode.PING)))
    tickets = Tokens(Secrets(hmac.digest(bus.seal, b"realtime tickets", "sha256")))  # of every gateway on this log, and of nobody else
    realtime = Realtime(tickets, bus.roll, clock.now, settings.realtime_token_s, settings.realtime_history_s, keys)
    named = Sandboxes(bus.commands, clock.now)
    knowledge = KnowledgeRoutes(Knowledge(tasks, named), _body(settings), settings.job_env)
    sandboxes = SandboxRoutes(named, _body(settings))
    snapshots = SnapshotRoutes(Snapshots(bus.commands, feed, clock.now), streams)
    parts = (RealtimeRoutes(realtime, ways, _body(settings)), sandboxes, knowledge, snapshots)
    return Omni(tasks, KeyHolders(SigningKeys.of(settings.signing_keys), settings.dev), parts)


def _omnara(bus: Bus, tasks: Tasks, streams: Streams, bearers: Bearers, settings: Settings) -> omnara.Omnara:
    beats, feed = GatheredBeats(bus.beats), BusFeed(bus)
    instances = Instances(tasks, beats, clock.now)
    dispatching = Dispatching(tasks, instances, clock.now, keys=bool(settings.sealing_key))
    stream = InstanceStream(instances, feed, feed, beats)
    return omnara.Omnara(InstanceCallers(bearers), omnara.parts(dispatching, stream, streams, _body(settings)))


def _body(settings: Settings) -> BodyReader:
    return BodyReader(settings.body_limit, settings.body_depth, settings.body_deadline_s)


def _stream_limits(settings: Settings) -> StreamLimits:
    room = descriptors.room(settings.stream_limit)
    return StreamLimits(settings.heartbeat_s, settings.stream_stall_s, settings.stream_buffer, room)


def _version() -> str:
    try:
        return version("trunkline")
    except PackageNotFoundError:
        return "0.0.0+source"
