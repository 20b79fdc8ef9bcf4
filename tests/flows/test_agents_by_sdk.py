"""Agents written with the SDK, and one in Node, on a nats-server with accounts: credentials that end, a bus that goes away, SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.architecture.source import ROOT
from tests.campaigns import LONG
from tests.conformance.agent_worlds import RouterTask, until
from tests.flows.npm import installed
from tests.flows.test_agents_let_in import SEED, gateway, minted
from tests.flows.test_routing import Client, routed
from trunkline import Agent, Context
from trunkline.auth.nkeys import Issuer
from trunkline.sdk.agents.failing import AgentError
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_approvals.settings import Settings as ApprovalsSettings
from trunkline_approvals.wiring import running as approvals_running

pytestmark = [pytest.mark.flow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

NODE = ROOT / "examples" / "agents" / "node"
FILE = """
import time
from trunkline import Agent, BlockingContext

agent = Agent("dev_agent", drain_s=10)


@agent.task("bugfix")
def fix(ctx: BlockingContext) -> str:
    ctx.say("begun")
    ctx.sleep(0.5)
    return "finished"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server(issuer=Issuer.of(SEED).public) as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(server: NatsServer) -> AsyncIterator[Client]:
    people = approvals_running(ApprovalsSettings.model_validate({"nats_url": server.url}))
    async with people, gateway(server), routed(server, lease_s=6) as client:
        yield client


@pytest.fixture
def client(services: Client) -> Client:
    return Client(services.bus, f"t{uuid4().hex[:8]}")


async def submitted(client: Client, type: str = "bugfix", **fields: object) -> RouterTask:
    name = uuid4().hex
    await client.submit(name, type, **fields)
    return RouterTask(client, name)


@asynccontextmanager
async def serving(agent: Agent) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        work = group.create_task(agent.serve())
        yield
        work.cancel()


async def test_an_agent_whose_token_ends_and_whose_bus_goes_away_keeps_its_task(server: NatsServer, client: Client) -> None:
    shown: list[str] = []

    async def credential() -> str:
        shown.append(minted("bot", tenant=client.tenant, seconds=600 if shown else 1.5))
        return shown[-1]

    agent, may_end = Agent("dev_agent", servers=[server.open_url], credential=credential), asyncio.Event()

    @agent.task("bugfix")
    async def fix(ctx: Context) -> str:
        await ctx.say("begun")
        await may_end.wait()
        await ctx.say("ended")
        return "whole"

    async with serving(agent):
        task = await submitted(client)
        await until(task.said)
        await until(lambda: _many(shown, 2))
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        may_end.set()
        end = await task.over()
        assert (end.status, end.result, end.attempt) == ("succeeded", "whole", 1)
        assert await task.said() == ["begun", "ended"]
    assert len(shown) >= 3, "each connection is made with a credential as it is then"


async def _many(found: list[str], count: int) -> bool:
    return len(found) >= count


async def test_a_credential_that_does_not_count_is_soon_said_to_be_one(server: NatsServer, services: Client) -> None:
    agent = Agent("dev_agent", servers=[server.open_url], credential=lambda: "nonsense", name="bot", give_up=0.2)
    agent.task()(lambda: None)
    with pytest.raises(AgentError, match="the bus refuses the credential"):
        await agent.serve()


async def test_the_runner_finishes_what_it_has_begun_when_it_is_told_to_stop(server: NatsServer, client: Client, tmp_path: Path) -> None:
    (tmp_path / "fixer.py").write_text(FILE)
    said = {"TRUNKLINE_NATS_AGENTS_URL": server.open_url, "TRUNKLINE_TOKEN": minted("bot", tenant=client.tenant)}
    words = [sys.executable, "-m", "trunkline_cli", "agent", "fixer:agent"]
    runner = subprocess.Popen(words, cwd=tmp_path, env={**os.environ, **said}, stderr=subprocess.PIPE, text=True)
    try:
        task = await submitted(client)
        await until(task.said)
        runner.send_signal(signal.SIGTERM)
        assert (await task.over()).result == "finished"
        assert await asyncio.to_thread(runner.wait, 10) == 0
    finally:
        runner.kill()
    assert runner.stderr is not None
    lines = runner.stderr.read()
    assert f"agent.task_over task={task.name} reported=succeeded" in lines
    assert said["TRUNKLINE_TOKEN"] not in lines


@pytest.mark.skipif(not LONG, reason="a lease and more: make campaigns")
async def test_an_agent_that_slept_past_its_lease_writes_nothing_more(server: NatsServer, client: Client, tmp_path: Path) -> None:
    """As a laptop that was closed: it wakes with work in its hands that is somebody else's by then."""
    (tmp_path / "fixer.py").write_text(FILE)
    said = {"TRUNKLINE_NATS_AGENTS_URL": server.open_url, "TRUNKLINE_TOKEN": minted("bot", tenant=client.tenant)}
    words = [sys.executable, "-m", "trunkline_cli", "agent", "fixer:agent"]
    runner = subprocess.Popen(words, cwd=tmp_path, env={**os.environ, **said}, stderr=subprocess.PIPE, text=True)
    other, awake = Agent("dev_agent", servers=[server.open_url], credential=lambda: minted("other", tenant=client.tenant)), asyncio.Event()

    @other.task("bugfix")
    async def fix(ctx: Context) -> str:
        await ctx.say("taken over")
        await awake.wait()
        return "other"

    try:
        task = await submitted(client, max_retries=1)
        await until(task.said)
        runner.send_signal(signal.SIGSTOP)
        async with serving(other):
            await until(lambda: _many_said(task, 2), 40)
            runner.send_signal(signal.SIGCONT)
            assert runner.stderr is not None
            while "lease_lost" not in await asyncio.to_thread(runner.stderr.readline):
                pass
            awake.set()
            end = await task.over()
        assert (end.status, end.result, end.attempt) == ("succeeded", "other", 2)
        assert await task.said() == ["begun", "taken over"]
    finally:
        runner.kill()


async def _many_said(task: RouterTask, count: int) -> bool:
    return len(await task.said()) >= count


async def test_an_agent_in_node_speaks_the_same_wire(server: NatsServer, client: Client, tmp_path: Path) -> None:
    place = await asyncio.to_thread(installed, NODE, tmp_path)
    program = place / "agent.mjs"
    program.write_text((NODE / "agent.mjs").read_text())
    said = {"TRUNKLINE_NATS_AGENTS_URL": server.open_url, "TRUNKLINE_TOKEN": minted("node", tenant=client.tenant)}
    node = subprocess.Popen(["node", str(program)], cwd=place, env={**os.environ, **said}, stderr=subprocess.PIPE, text=True)
    try:
        task, odd = await submitted(client, "incident", payload={"summary": "api is slow"}), await submitted(client, "incident")
        await (await task.question()).yes()
        assert (await task.over()).result == {"summary": "api is slow", "woken": True, "by": "node"}
        assert await task.said() == ["heard of: api is slow"]
        assert ((end := await odd.over()).status, end.code) == ("failed", "BAD_PAYLOAD")

        stopped = await submitted(client, "incident", payload={"summary": "never mind"})
        await stopped.question()
        await stopped.cancel()
        assert (await stopped.over()).status == "cancelled"
        node.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(node.wait, 10) == 0
    finally:
        node.kill()
