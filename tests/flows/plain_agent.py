"""An agent on NATS as anybody writes one: a plain nats-py client, JSON, and nothing of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import nats
from nats.aio.client import Client

Json = dict[str, Any]


class Refusal(Exception):
    def __init__(self, said: Json) -> None:
        super().__init__(f"{said['code']}: {said['message']}")
        self.code = said["code"]
        self.details = said["details"]


class PlainAgent:
    def __init__(self, client: Client, tenant: str, name: str) -> None:
        self.client = client
        self.tenant = tenant
        self.name = name
        self.session = uuid4().hex
        self.holding: list[Json] = []
        self.spoken: list[tuple[str, Json, Json]] = []
        """What was asked with which verb, and the answer."""

    async def ask(self, verb: str, body: Json, timeout: float = 30) -> Json:
        """The body of the answer. Raises Refusal."""
        reply = await self.client.request(f"agent.{self.tenant}.{self.name}.{verb}", json.dumps(body).encode(), timeout=timeout)
        said = json.loads(reply.data)
        self.spoken.append((verb, body, said))
        if said["refused"]:
            raise Refusal(said["refused"])
        found: Json = said["accepted"]["body"]
        return found

    async def claim(self, pool: str = "dev_agent", **more: Any) -> list[Json]:
        wish = {"pools": [pool], "wait_s": 5, "session": self.session, "holding": self.holding, **more}
        tasks: list[Json] = (await self.ask("claim", wish))["tasks"]
        self.holding += [held(task) for task in tasks]
        return tasks

    async def beat(self, *leases: Json, timeout: float = 30) -> list[str]:
        said = await self.ask("beat", {"session": self.session, "leases": [held(lease) for lease in leases]}, timeout)
        return [each["word"] for each in said["leases"]]

    async def report(self, task: Json, reported: str, **more: Any) -> str:
        return str((await self.ask("report", {**held(task), "reported": reported, **more}))["status"])

    async def say(self, task: Json, id: str, *items: Json) -> None:
        await self.ask("say", {**held(task), "id": id, "items": list(items)})


def held(task: Json) -> Json:
    return {"task_id": task["task_id"], "lease": task["lease"]}


def text(words: str) -> Json:
    return {"kind": "text", "text": words}


@asynccontextmanager
async def plain_agent(url: str, tenant: str, name: str = "bot", **options: Any) -> AsyncIterator[PlainAgent]:
    client = await nats.connect(url, inbox_prefix=f"_INBOX.{tenant}.{name}", **{"reconnect_time_wait": 0.1, **options})
    try:
        yield PlainAgent(client, tenant, name)
    finally:
        await client.close()


@asynccontextmanager
async def beating(agent: PlainAgent, task: Json, every: float = 0.3) -> AsyncIterator[None]:
    """The lease lives on, however long what is done meanwhile takes; whatever blocks belongs in a thread."""

    async def beat() -> None:
        while True:
            await agent.beat(task)
            await asyncio.sleep(every)

    beats = asyncio.create_task(beat())
    try:
        yield
    finally:
        beats.cancel()
