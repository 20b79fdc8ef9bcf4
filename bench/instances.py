"""The row `instances`: agents that call home: what their signs of life cost, how long a message takes, and how soon an answer is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import aiohttp
import uvloop

from bench import processes
from bench.bare import token
from bench.figures import Figure, at, median
from bench.plan import Plan
from bench.processes import System

EVERY_S: Final = 30.0
AT_ONCE: Final = 8
KEPT_S: Final = 5.5
"""A sign so soon after another is not passed on."""
WITHIN: Final = 10.0
POLL_S: Final = 0.05
"""The client polls each 10 s: an answer is as late as its own poll, and what we add to it is measured."""


@dataclass(frozen=True, slots=True)
class Agents:
    """One client for all of them, as an owner with a token."""

    session: aiohttp.ClientSession
    names: Sequence[str]

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        async with self.session.request(method, path, json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def say(self, name: str, text: str, **more: object) -> Any:
        return await self.ask("POST", "/api/v1/messages/agent", {"agent_instance_id": name, "content": text, **more})

    async def begin(self) -> None:
        async def one(name: str) -> None:
            await self.ask("POST", "/api/v1/agent-instances", {"agent_type": "bench", "agent_instance_id": name})
            await self.live(name)

        await self._each(one)

    async def live(self, name: str) -> None:
        await self.ask("POST", f"/api/v1/agents/instances/{name}/heartbeat")

    async def beat_in_one_go(self) -> None:
        await self._each(self.live)

    async def _each(self, work: Callable[[str], Awaitable[None]]) -> None:
        left = iter(self.names)

        async def hand() -> None:
            for name in left:
                await work(name)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(hand())

    async def beat(self, seconds: float) -> int:
        """Evenly, each once in 30 s; how many were given."""
        begun, given = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while (due := given * EVERY_S / len(self.names)) < seconds:
                await asyncio.sleep(max(0.0, begun + due - time.monotonic()))
                name = self.names[given % len(self.names)]
                group.create_task(self.live(name))
                given += 1
        return given

    async def post(self, messages: int, at_once: int) -> list[float]:
        """Seconds of each, of many agents."""
        took: list[float] = []
        left = iter(range(messages))

        async def hand() -> None:
            for number in left:
                begun = time.monotonic()
                await self.say(self.names[number % len(self.names)], f"step {number}")
                took.append(time.monotonic() - begun)

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(hand())
        return took

    async def answered(self, name: str) -> float:
        """Seconds from a person's answer until the agent's poll has it."""
        last = (await self.say(name, f"which? {uuid4()}", requires_user_input=True))["message_id"]
        begun = time.monotonic()
        await self.ask("POST", "/api/v1/messages/user", {"agent_instance_id": name, "content": "this", "mark_as_read": False})
        path = f"/api/v1/messages/pending?agent_instance_id={name}&last_read_message_id={last}"
        async with asyncio.timeout(WITHIN):
            while not (await self.ask("GET", path))["messages"]:  # noqa: ASYNC110 (the client asks and asks again)
                await asyncio.sleep(POLL_S)
        return time.monotonic() - begun


def measure(plan: Plan) -> list[Figure]:
    with processes.trunkline("split", processes.APART) as system:
        return uvloop.run(_measured(plan, system))


@asynccontextmanager
async def _agents(port: int, count: int) -> AsyncIterator[Agents]:
    headers = {"Authorization": f"Bearer {token()}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers, connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        yield Agents(session, [str(uuid4()) for _ in range(count)])


async def _measured(plan: Plan, system: System) -> list[Figure]:
    count, seconds = (100, 6.0) if plan.quick else (1_000, 60.0)
    async with _agents(int(system.address), count) as agents:
        plan.say(f"instances: {count:,} begin")
        await agents.begin()
        plan.say("instances: signs of life")
        await asyncio.sleep(KEPT_S)
        idle = await _spent(system, asyncio.sleep(seconds / 4)) * 4
        beats = await _spent(system, agents.beat(seconds))
        await asyncio.sleep(KEPT_S)
        dense = await _spent(system, agents.beat_in_one_go())
        plan.say("instances: messages and answers")
        posts = {at_once: await agents.post(100 if plan.quick else 2_000, at_once) for at_once in (1, AT_ONCE)}
        late = [await agents.answered(name) for name in agents.names[: 5 if plan.quick else 50]]
    return [
        Figure(f"{count:,} instances that beat each 30 s: of one core", 100 * (beats - idle) / seconds, "%", "" if plan.quick else "<= 2"),
        Figure("the same, with what idle services cost", 100 * beats / seconds, "%"),
        Figure("processor for one sign of life", (beats - idle) / (count * seconds / EVERY_S) * 1e6, "us"),
        Figure("processor for one sign of life, all of them in one go", dense / count * 1e6, "us"),
        *(
            Figure(f"a message posted, {at_once} in flight: {name}", at(took, share) * 1e3, "ms", limit)
            for at_once, took in posts.items()
            for name, share, limit in (("p50", 0.5, ""), ("p99", 0.99, "" if plan.quick or at_once > 1 else "<= 20"))
        ),
        Figure("from an answer to the agent's next poll: p50", median(late) * 1e3, "ms"),
        Figure("from an answer to the agent's next poll: p99", at(late, 0.99) * 1e3, "ms"),
    ]


async def _spent(system: System, work: Any) -> float:
    """Seconds of processor of the gateway, the router and nats-server meanwhile."""
    before = _gateway_router_nats(system)
    await work
    return _gateway_router_nats(system) - before


def _gateway_router_nats(system: System) -> float:
    gateway, router, _ = system.children
    assert system.server.process is not None
    return sum(processes.spent(pid) for pid in (gateway.pid, router.pid, system.server.process.pid))
