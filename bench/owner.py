"""The owner of tasks where the gateway alone is to be the limit of the row `api`: it stores what it is told by one acknowledged write."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

import nats
import orjson
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from trunkline.contracts import subjects

STORED: Final = "bench.owner"


class Owner:
    """As much of the router as the bare handler has of one: it decides nothing."""

    def __init__(self, client: Client, js: JetStreamContext, group: asyncio.TaskGroup) -> None:
        self._client, self._js, self._group = client, js, group

    async def begin(self) -> None:
        await self._js.add_stream(name="OWNED", subjects=[STORED])
        for verb, answer in (("submit", self._submit), ("ping", self._pong)):

            async def hear(message: Msg, answer: Any = answer) -> None:
                self._group.create_task(answer(message))

            await self._client.subscribe(subjects.commands_of("router", verb), "router", cb=hear)

    async def _submit(self, message: Msg) -> None:
        command = orjson.loads(message.data)
        ack = await self._js.publish(STORED, message.data)
        made = {"task_id": command["task_id"], "pool": "dev", "executor": "sandbox", "status": "submitted", "submitted_at": command["at"]}
        await self._say(message, {"seq": ack.seq, "body": {**made, "trace_id": command["trace_id"]}})

    async def _pong(self, message: Msg) -> None:
        await self._say(message, {"seq": 0})

    async def _say(self, message: Msg, accepted: dict[str, Any]) -> None:
        await self._client.publish(message.reply, orjson.dumps({"accepted": accepted}))


async def serve(url: str) -> None:
    """Until killed."""
    client = await nats.connect(url)
    async with asyncio.TaskGroup() as group:
        await Owner(client, client.jetstream(), group).begin()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
