"""Puts the sandbox service together."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp

from trunkline.bus import Bus, connect
from trunkline.bus.vital import vital
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline_sandbox.adapters.agents.claude import ClaudeAgent, ClaudeOptions
from trunkline_sandbox.adapters.agents.command import CommandAgent
from trunkline_sandbox.adapters.door_keys import DoorKeys
from trunkline_sandbox.adapters.door_relay import Upstream
from trunkline_sandbox.adapters.forges.local import LocalForge
from trunkline_sandbox.adapters.git import GitProgram
from trunkline_sandbox.adapters.model_door import forget_door, model_door, model_session
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.adapters.secret_file import shared_secret
from trunkline_sandbox.handlers.drive_run import DriveRun
from trunkline_sandbox.handlers.reap import Reap
from trunkline_sandbox.handlers.show_pull_request import ShowPullRequestPage
from trunkline_sandbox.handlers.steps import Steps
from trunkline_sandbox.handlers.stop_unclaimed import StopUnclaimed
from trunkline_sandbox.handlers.world import Door, World
from trunkline_sandbox.ports import Agent, Limits
from trunkline_sandbox.settings import Settings
from trunkline_sandbox.subscriptions import subscribe

POOL = "dev"
MIB = 1 << 20


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """A sandbox service with its hands open; leaving it hands back what it carries and leaves the agents running."""
    upstream = Upstream(api_key=settings.anthropic_api_key.get_secret_value(), base_url=settings.anthropic_base_url)
    async with model_session(upstream) as session, connect(settings, "sandbox") as bus:
        world = assemble(settings, upstream, session)
        async with serving(bus, world, settings.runs):
            yield


@asynccontextmanager
async def serving(bus: Bus, world: World, hands: int) -> AsyncIterator[None]:
    """Serve an assembled world on the bus."""
    steps = Steps(world)
    drive = DriveRun(bus.log, world, steps, owner())
    subscribe(bus.inlet, StopUnclaimed(bus.log, now), ShowPullRequestPage(world.forge))
    await bus.inlet.start("sandbox")
    reap = Reap(bus.log, world.provider, steps, now)
    async with vital(reap.run, lambda: bus.work.take(POOL, hands, drive.carry)):
        yield


def owner() -> str:
    """Names this replica on the timeline; a restart is another one."""
    return f"{socket.gethostname()}-{os.getpid()}-{new_id()[-6:]}"


def assemble(settings: Settings, upstream: Upstream, session: aiohttp.ClientSession) -> World:
    """The world as the settings want it. Raises Unsupported when sandboxes cannot be isolated here."""
    folder = settings.folder
    keys = DoorKeys(folder / "doors", shared_secret(folder / "doors.secret"))

    def claude_door(key: str) -> AbstractAsyncContextManager[None]:
        return model_door(keys(key), upstream, session)

    doors: Mapping[str, Door] = {"claude": Door(claude_door, lambda key: forget_door(keys(key)))}
    return World(
        provider=LocalProvider(settings.boxes, unsafe=settings.unsafe_local),
        git=GitProgram(size=settings.repository_mb * MIB),
        forge=LocalForge(settings.repositories, settings.public_url),
        agents=_agents(settings, keys),
        doors=doors,
        default_agent=settings.agent,
        folder=folder / "runs",
        limits=limits(settings),
        egress=settings.egress,
        now=now,
    )


def _agents(settings: Settings, keys: DoorKeys) -> Mapping[str, Agent]:
    options = ClaudeOptions(program=settings.claude_path, trust_repository=settings.agent_repo_config)
    agents: list[Agent] = [CommandAgent(settings.agent_command), ClaudeAgent(keys, options)]
    return {agent.name: agent for agent in agents}


def limits(settings: Settings) -> Limits:
    return Limits(
        cpus=settings.cpus,
        memory=settings.memory_mb * MIB,
        processes=settings.processes,
        file_size=settings.file_mb * MIB,
        disk=settings.disk_mb * MIB,
        output=settings.output_mb * MIB,
    )
