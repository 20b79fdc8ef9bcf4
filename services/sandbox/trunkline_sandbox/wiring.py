"""Puts the sandbox service together."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import aiohttp
from pydantic import SecretStr

from trunkline.auth import timeline_links
from trunkline.bus import Bus, WorkItem, connect
from trunkline.bus.vital import vital
from trunkline.contracts.errors import Unsupported
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.sandbox import pool_of
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline.runtime.health import beside
from trunkline.runtime.ids import new_id
from trunkline.telemetry.redaction import Redactor
from trunkline_sandbox.adapters.agents import claude_options, codex_config
from trunkline_sandbox.adapters.agents.claude import ClaudeAgent, ClaudeOptions
from trunkline_sandbox.adapters.agents.codex import CodexAgent
from trunkline_sandbox.adapters.agents.codex_config import CodexOptions
from trunkline_sandbox.adapters.agents.command import CommandAgent
from trunkline_sandbox.adapters.agents.opencode import OpencodeOptions, opencode_agent
from trunkline_sandbox.adapters.forges.github import GitHubOptions, github_forge
from trunkline_sandbox.adapters.forges.local import LocalForge
from trunkline_sandbox.adapters.git import GitProgram
from trunkline_sandbox.adapters.keeping import LocalKeep
from trunkline_sandbox.adapters.model.door import forget_door, model_door, model_session, place_door
from trunkline_sandbox.adapters.model.keys import DoorKeys
from trunkline_sandbox.adapters.model.preflight import reach
from trunkline_sandbox.adapters.model.reach import fits
from trunkline_sandbox.adapters.model.shapes import Shape, Upstreams
from trunkline_sandbox.adapters.model.street import Street, host_of, listening
from trunkline_sandbox.adapters.providers.daytona import DaytonaAccount, DaytonaCloud, DaytonaImages
from trunkline_sandbox.adapters.providers.e2b import E2bAccount, E2bCloud, E2bImages
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.adapters.providers.local.building import LocalImages
from trunkline_sandbox.adapters.providers.remote import RemoteOptions, RemoteProvider
from trunkline_sandbox.adapters.secret_file import shared_secret
from trunkline_sandbox.handlers.answer_inbox import AnswerInbox
from trunkline_sandbox.handlers.drive_run import DriveRun
from trunkline_sandbox.handlers.entrust import Entrust
from trunkline_sandbox.handlers.image_host import Dockerfile, ImageHost
from trunkline_sandbox.handlers.images import ImageMeans
from trunkline_sandbox.handlers.inbox import Inbox, Inboxes
from trunkline_sandbox.handlers.judge_push import JudgePush
from trunkline_sandbox.handlers.named import NamedMeans, put_together
from trunkline_sandbox.handlers.named_heirs import Heirs
from trunkline_sandbox.handlers.named_host import NamedHost
from trunkline_sandbox.handlers.named_lodging import Lodging
from trunkline_sandbox.handlers.named_sites import Sites
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.handlers.reap import Reap
from trunkline_sandbox.handlers.show_pull_request import ShowPullRequestPage
from trunkline_sandbox.handlers.steps import Steps
from trunkline_sandbox.handlers.stop_unclaimed import StopUnclaimed
from trunkline_sandbox.handlers.till import SpendLog, TaskTill
from trunkline_sandbox.handlers.wake import Wake, Wakers
from trunkline_sandbox.handlers.wires import Wires
from trunkline_sandbox.handlers.world import Door, Job, World, sandbox_id
from trunkline_sandbox.model import Run
from trunkline_sandbox.model import inbox as inbox_model
from trunkline_sandbox.model.budget import BudgetLimits
from trunkline_sandbox.model.outgoing import OutgoingPolicy
from trunkline_sandbox.model.patience import Patience
from trunkline_sandbox.model.rules import Rules
from trunkline_sandbox.ports import Agent, Forge, Limits, Till
from trunkline_sandbox.settings import Settings
from trunkline_sandbox.subscriptions import Answers, answer_others, subscribe, subscribe_images, subscribe_named

POOL = "dev"
MIB = 1 << 20
ANYTHING_GOES = OutgoingPolicy(paths=(), files=1_000_000, pull_requests=100_000)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """A sandbox service with its hands open; leaving it hands back what it carries and leaves the agents running."""
    street = Street()
    async with (
        _street(settings, street),
        model_session() as session,
        _forge(settings) as forge,
        connect(settings, "sandbox", beside(settings, "sandbox")) as bus,
    ):
        world = replace(assemble(settings, forge, session, street), timeline=timelines(settings, bus.seal))
        async with (
            _letting_go(world.provider),
            named_sandboxes(bus, named_means(settings, world.provider)) as (lodging, sites),
            serving(bus, replace(world, lodging=lodging), settings.runs, outgoing(settings), sites),
        ):
            yield


@asynccontextmanager
async def _letting_go(provider: object) -> AsyncIterator[None]:
    """However the service ends, no start that it made ahead waits for it, and nothing is carried that it opened."""
    try:
        yield
    finally:
        if isinstance(provider, RemoteProvider):
            await provider.close()
        elif isinstance(provider, LocalProvider):
            provider.close()


@asynccontextmanager
async def named_sandboxes(bus: Bus, means: NamedMeans) -> AsyncIterator[tuple[Lodging, Sites]]:
    """Named sandboxes on the bus, to be declared before anything is heard; how runs come to work in them, and where."""
    named = put_together(bus, means, now)
    await named.start()
    subscribe_named(bus.inlet, named)
    subscribe_images(bus.inlet, named)
    answer_others(bus.inlet, named, means.hosts)
    async with vital(named.book.run, named.image_ends.run, named.watch.run, named.errands.run, named.sites.run, named.hosts.run):
        yield Lodging(named.book, named.answer, now), named.sites


def named_means(settings: Settings, *providers: object) -> NamedMeans:
    """Those of the providers that can keep sandboxes between jobs, and what may be had of them."""
    hosts = {provider.name: provider for provider in providers if isinstance(provider, NamedHost)}
    caps = Caps(
        provider=settings.sandbox,
        named=settings.sandbox_provider,
        per_user=settings.sandboxes_per_user,
        per_tenant=settings.sandboxes_per_tenant,
        minutes_day=settings.sandbox_minutes_day,
        ttl_s=min(settings.sandbox_days, settings.events_days / 2) * 86400,  # what outlived its facts would be taken for nobody's
        idle_s=settings.sandbox_idle_s,
        cpus=settings.cpus,
        memory_mb=settings.memory_mb,
        disk_mb=settings.disk_mb,
        egress=_egress(settings),
        egress_too=settings.sandbox_egress,
        prices=settings.sandbox_prices,
    )
    return NamedMeans(hosts, caps, images=image_means(settings, *providers), site_lost_s=settings.sandbox_site_lost_s)


def image_means(settings: Settings, *providers: object) -> ImageMeans:
    """What named sandboxes begin with, and those of the providers that can build it."""
    file = settings.sandbox_dockerfile.expanduser().absolute() if settings.sandbox_dockerfile else None
    may = replace(limits(settings), wall=settings.snapshot_build_s)
    hosts = [host for provider in providers if file and (host := _image_host(provider, file.parent, may, settings.egress))]
    return ImageMeans(
        dockerfile=Dockerfile(file),
        hosts={host.name: host for host in hosts},
        provider=settings.sandbox,
        build_s=settings.snapshot_build_s,
        pause_s=settings.snapshot_retry_s,
        strike=redactor(settings).text,
    )


def _image_host(provider: object, context: Path, may: Limits, egress: tuple[str, ...]) -> ImageHost | None:
    """Who builds there; None where nobody does."""
    if isinstance(provider, LocalProvider):
        return LocalImages(provider, context, may, egress)
    return provider.images(context) if isinstance(provider, RemoteProvider) else None


@asynccontextmanager
async def serving(
    bus: Bus, world: World, hands: int, policy: OutgoingPolicy | None = None, sites: Sites | None = None
) -> AsyncIterator[None]:
    """Serve an assembled world on the bus. What works in the sandboxes of its sites has hands of its own, for nobody else can do it."""
    inboxes: Inboxes = Actor(bus.log, inbox_model.decide, inbox_model.evolve)
    wires = _wires(bus, world, Inbox(inboxes, bus.log, now), policy or ANYTHING_GOES)

    async def clear(task: str, run: Run) -> None:
        await steps.clear(sandbox_id(task, run.attempt), run.sitting)

    wake = Wake(wires, Wakers(bus.work, bus.timers, world.now, clear, world.park_s, world.keeps))
    entrust = Entrust(bus.vault(world.vault_key), world.redactor)
    steps = Steps(world, wires, wake, entrust)
    drive = DriveRun(bus.log, world, steps, wake, owner())
    bus.watch.meters.ask("runs", lambda: len(drive))
    stop, reap = StopUnclaimed(bus.log, now, clear), Reap(bus.log, world.provider, steps, wake, now)
    answers = Answers(
        stop, ShowPullRequestPage(world.forge), AnswerInbox(inboxes, bus.log, entrust.knowing, world.skill), wires.inbox, wake, entrust
    )
    subscribe(bus.inlet, answers)
    own = [*(pool_of(site) for site in sites.here), pool_of("", world.provider.name)] if sites else []
    own = [pool for pool in own if pool != POOL]

    async def inherit(pool: str) -> None:
        await bus.work.take(pool, 1, drive.carry, world.shares)

    heirs = [Heirs(sites, inherit, bus.work.pools).run] if sites else []
    await bus.inlet.start("sandbox")
    takers = [partial(bus.work.take, pool, hands, drive.carry, world.shares) for pool in (POOL, *own)]
    async with vital(reap.run, wake.run, *heirs, *takers):
        yield


def _wires(bus: Bus, world: World, inbox: Inbox, policy: OutgoingPolicy) -> Wires:
    def till(job: Job) -> TaskTill:
        spend = SpendLog(bus.log, job.item, now, job.run.sitting)
        return TaskTill(spend, bus.counters, job.budget(world.budget), asyncio.Event(), job.run.questions.raised_days)

    return Wires(bus.log, bus.nudges, inbox, JudgePush(world.git, bus.limits, policy), till)


def owner() -> str:
    """Names this replica on the timeline; a restart is another one."""
    return f"{socket.gethostname()}-{os.getpid()}-{new_id()[-6:]}"


def assemble(settings: Settings, forge: Forge, session: aiohttp.ClientSession, street: Street | None = None) -> World:
    """The world as the settings want it. Raises Unsupported when sandboxes cannot be isolated here."""
    folder = settings.folder
    keys = DoorKeys(folder / "doors", shared_secret(folder / "doors.secret"), _door_url(settings))
    provider = sandboxes(settings)
    return World(
        provider=provider,
        git=GitProgram(size=settings.repository_mb * MIB),
        forge=forge,
        agents=_agents(settings, keys),
        doors=_doors(settings, keys, session, street),
        default_agent=settings.agent,
        folder=folder / "runs",
        limits=limits(settings),
        egress=_egress(settings),
        now=now,
        redactor=redactor(settings),
        rules=Rules(settings.tool_rules, settings.tool_otherwise),
        hold_s=settings.hold_process_s,
        park_s=settings.park_days * 86400,
        keeps=settings.standing_runs,
        shares=settings.shares,
        budget=BudgetLimits(settings.budget_usd, settings.budget_day_usd),
        keep=_keep(settings, provider) if settings.snapshot_days and isinstance(provider, LocalProvider) else None,
        vault_key=settings.sealing_key,
        patience=Patience(limit=settings.forge_patience_s),
    )


def timelines(settings: Settings, seal: bytes) -> Callable[[WorkItem], str]:
    """Where people see what happens to a task. What is shared opens for whoever holds the link, so that a reviewer needs no credential."""
    base = settings.public_url.rstrip("/")

    def timeline(item: WorkItem) -> str:
        if not settings.share_timelines:
            return f"{base}/tasks/task_{item.task}/events"
        return base + timeline_links.path(seal, TenantId(item.tenant), TaskId(item.task))

    return timeline if base else lambda _: ""


def sandboxes(settings: Settings) -> LocalProvider | RemoteProvider:
    """Where agents run. Raises Unavailable where this machine cannot isolate, Unsupported where a cloud is wanted and there is no key."""
    match settings.sandbox:
        case "local":
            return LocalProvider(settings.boxes, unsafe=settings.unsafe_local)
        case "daytona":
            return _at_daytona(settings)
        case "e2b":
            return _at_e2b(settings)


def _at_daytona(settings: Settings) -> RemoteProvider:
    key = settings.daytona_api_key.get_secret_value()
    if not key:
        raise Unsupported("Sandboxes are to be at Daytona and there is no key: set DAYTONA_API_KEY.", code="NO_DAYTONA_KEY")
    account = DaytonaAccount(key, settings.daytona_api_url, settings.daytona_target, settings.daytona_snapshot)
    options = RemoteOptions(settings.folder / "daytona", settings.daytona_fleet, workspace=settings.disk_mb * MIB)
    cloud = DaytonaCloud(account, options)
    return RemoteProvider(cloud, options, DaytonaImages(cloud, account, options))


def _at_e2b(settings: Settings) -> RemoteProvider:
    key = settings.e2b_api_key.get_secret_value()
    if not key:
        raise Unsupported("Sandboxes are to be at E2B and there is no key: set E2B_API_KEY.", code="NO_E2B_KEY")
    account = E2bAccount(
        api_key=key,
        domain=settings.e2b_domain,
        api_url=settings.e2b_api_url,
        sandbox_url=settings.e2b_sandbox_url,
        template=settings.e2b_template,
        life_s=settings.e2b_life_s,
    )
    options = RemoteOptions(settings.folder / "e2b", settings.e2b_fleet, workspace=settings.disk_mb * MIB)
    cloud = E2bCloud(account, options)
    return RemoteProvider(cloud, options, E2bImages(cloud, options))


def _keep(settings: Settings, provider: LocalProvider) -> LocalKeep:
    return LocalKeep(provider, settings.folder / "runs", settings.kept, settings.snapshot_mb * MIB, settings.snapshot_days)


@asynccontextmanager
async def _forge(settings: Settings) -> AsyncIterator[Forge]:
    if settings.forge == "local":
        yield LocalForge(settings.repositories, settings.public_url)
        return
    options = GitHubOptions(
        folder=settings.folder / "credentials",
        api_url=settings.github_api_url,
        token=settings.github_token.get_secret_value(),
        app_id=settings.github_app_id,
        app_key_file=settings.github_app_key_file,
        comment=settings.github_comment,
        status=settings.github_status,
    )
    async with github_forge(options) as github:
        yield github


def _doors(settings: Settings, keys: DoorKeys, session: aiohttp.ClientSession, street: Street | None) -> Mapping[str, Door]:
    """Each agent reaches the one model API that it speaks to; an agent without a door reaches none."""
    upstreams = Upstreams.configured(settings)

    def door(shape: Shape) -> Door:
        to = upstreams.only(shape)

        def open_(key: str, till: Till) -> AbstractAsyncContextManager[None]:
            return model_door(keys(key), to, session, till, street)

        return Door(
            open_,
            lambda key: forget_door(keys(key)),
            to.check,
            lambda key: place_door(keys(key)),
            lambda: reach(to, session),
            afar=bool(keys.url),
        )

    return {"claude": door(Shape.ANTHROPIC), "codex": door(Shape.OPENAI), "opencode": door(Shape(_opencode_speaks(settings)))}


def _door_url(settings: Settings) -> str:
    """Empty where agents reach their doors by sockets."""
    return "" if settings.sandbox == "local" else settings.model_door_url


def _egress(settings: Settings) -> tuple[str, ...]:
    """What agents may reach, their door among it."""
    door = host_of(_door_url(settings))
    return (*settings.egress, door) if door and door not in settings.egress else settings.egress


@asynccontextmanager
async def _street(settings: Settings, street: Street) -> AsyncIterator[None]:
    if not _door_url(settings):
        yield
        return
    async with listening(street, settings.model_door_host, settings.model_door_port):
        yield


def _agents(settings: Settings, keys: DoorKeys) -> Mapping[str, Agent]:
    claude_search, codex_search = (fits(name, settings.model_tools_allowed) for name in (claude_options.SEARCH, codex_config.SEARCH))
    options = ClaudeOptions(settings.claude_path, trust_repository=settings.agent_repo_config, web_search=claude_search)
    command = CommandAgent(settings.agent_command, duplex=settings.agent_command_duplex)
    codex = CodexAgent(keys, CodexOptions(settings.codex_path, trust_repository=settings.agent_repo_config, web_search=codex_search))
    opencode = OpencodeOptions(
        program=settings.opencode_path, speaks=_opencode_speaks(settings), trust_repository=settings.agent_repo_config
    )
    agents: list[Agent] = [command, ClaudeAgent(keys, options), codex, opencode_agent(keys, opencode)]
    return {agent.name: agent for agent in agents}


def _opencode_speaks(settings: Settings) -> Literal["openai", "anthropic"]:
    """To the model API that a key is there for."""
    only_anthropic = settings.anthropic_api_key.get_secret_value() and not settings.openai_api_key.get_secret_value()
    return "anthropic" if only_anthropic else "openai"


def redactor(settings: Settings) -> Redactor:
    """Knows every secret of this service by the name of its setting."""
    held = {name: getattr(settings, name) for name in type(settings).model_fields}
    return Redactor([(name, value.get_secret_value()) for name, value in held.items() if isinstance(value, SecretStr)])


def outgoing(settings: Settings) -> OutgoingPolicy:
    return OutgoingPolicy(settings.outgoing_paths, settings.outgoing_files, settings.pull_requests_an_hour)


def limits(settings: Settings) -> Limits:
    return Limits(
        cpus=settings.cpus,
        memory=settings.memory_mb * MIB,
        processes=settings.processes,
        file_size=settings.file_mb * MIB,
        disk=settings.disk_mb * MIB,
        output=settings.output_mb * MIB,
    )
