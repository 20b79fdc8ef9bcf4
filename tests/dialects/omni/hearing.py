"""Clients of the realtime endpoints in front of a small world."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse, WSMsgType

from tests.dialects.world import BEGAN, SECRET
from trunkline.auth.tokens import Secrets, Tokens
from trunkline_gateway.dialects.omni.names import CHANNEL, STATUS, UPDATE

BOTH = (UPDATE, STATUS)
KEY = "signkey-test-" + "0123456789abcdef" * 4


async def token(session: ClientSession, topics: Sequence[str] = BOTH, channel: str = CHANNEL, *, shown: str = KEY, **more: Any) -> str:
    body = [{"channel": channel, "name": topic, "kind": "run", **more} for topic in topics]
    async with session.post("/v1/realtime/token", json=body, headers={"Authorization": f"Bearer {shown}"}) as answer:
        assert answer.status == 201, await answer.text()
        said = await answer.json()
        assert list(said) == ["jwt"]
        return str(said["jwt"])


def signer(secret: str = SECRET, seconds: float = 0.0) -> Tokens:
    """Whoever signs tokens at a gateway of a small world, so many seconds later."""
    return Tokens(Secrets(secret.encode()), now=lambda: BEGAN.timestamp() + seconds)


@dataclass
class Heard:
    """What a WebSocket brought: frames of messages, and whatever else came."""

    ws: ClientWebSocketResponse
    frames: list[dict[str, Any]] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)

    async def until(self, count: int) -> list[dict[str, Any]]:
        """The first `count` messages."""
        async with asyncio.timeout(10):
            while len(self.frames) < count:
                await self.one()
        return self.frames[:count]

    async def one(self) -> None:
        message = await self.ws.receive()
        if message.type is WSMsgType.TEXT:
            frame = json.loads(message.data)
            (self.frames if frame["kind"] == "data" else self.others).append(frame)
        else:
            self.others.append(message)
            assert message.type is WSMsgType.PING, message


@asynccontextmanager
async def hearing(session: ClientSession, jwt: str, **query: str) -> AsyncIterator[Heard]:
    async with session.ws_connect("/v1/realtime/connect", params={"token": jwt, **query}, autoping=False) as ws:
        yield Heard(ws)


async def events(answer: ClientResponse, count: int) -> list[tuple[str, dict[str, Any]]]:
    """The first `count` events of a stream, with their ids."""
    found: list[tuple[str, dict[str, Any]]] = []
    last = ""
    async with asyncio.timeout(10):
        while len(found) < count:
            line = (await answer.content.readline()).decode().strip()
            if line.startswith("id: "):
                last = line[4:]
            elif line.startswith("data: "):
                found.append((last, json.loads(line[6:])))
    return found


def kinds(frames: Sequence[dict[str, Any]]) -> list[str]:
    return [frame["data"]["message"]["type"] if frame["topic"] == UPDATE else frame["data"]["status"] for frame in frames]
