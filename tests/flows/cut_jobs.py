"""A gateway that is started again and again, jobs of many events on it, a raw reader that is cut, and what was lost or told twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random, sample
from socket import socket
from typing import Any

import jwt
from pydantic import SecretStr

from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import AgentInterrupted, AgentOutput, Said
from trunkline.contracts.task import Assignment, TaskCancelled, TaskSubmitted, Visibility
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import nats_server
from trunkline_gateway.settings import Settings
from trunkline_gateway.wiring import running
from trunkline_relay import wiring as relay
from trunkline_relay.settings import Settings as RelaySettings

SECRET = "a secret of thirty-two bytes or more"
HOME = TenantId("public")
EVENTS = 60
ENDS = (b'"type":"error"', b'"type":"result"', b'"event_type":"task.cancelled"')
JOBS, TASKS = "/api/pr-agent/{}/stream", "/tasks/task_{}/events"


@dataclass
class Tally:
    """What a campaign came to: events are counted for each reader."""

    cuts: int = 0
    events: int = 0
    gaps: int = 0
    repeats: int = 0

    def hold(self, seen: Sequence[str], whole: Sequence[str]) -> None:
        """The ids that somebody read against those that there are."""
        self.events += len(seen)
        self.gaps += len(set(whole) - set(seen))
        self.repeats += len(seen) - len(set(seen))


def token() -> str:
    """Of somebody who may see everything."""
    return jwt.encode({"sub": "ann", "role": "admin", "exp": now() + timedelta(hours=1)}, SECRET, algorithm="HS256")


def low_port() -> int:
    """A free one that no connection of somebody else's takes while the gateway is away: those get theirs from 32768 on."""
    for port in sample(range(20_000, 32_000), 100):
        with socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


@dataclass
class Gateway:
    """One that may be started again at the same place, with what is open cut or closed as it happens to be."""

    url: str
    port: int = field(default_factory=low_port)
    restarts: int = 0
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def at(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        settings = Settings(
            nats_url=self.url, port=self.port, jwt_secret=SecretStr(SECRET), rate_limits="off", stream_buffer=16 << 10, drain_s=0.2
        )
        await self._open.enter_async_context(running(settings))

    async def again(self) -> None:
        await self.stop()
        self._open = AsyncExitStack()
        await self.start()
        self.restarts += 1

    async def stop(self) -> None:
        await self._open.aclose()


@dataclass
class Job:
    bus: Bus
    luck: Random
    largest: int = 500
    """Lines of three in its largest event."""
    task: TaskId = field(default_factory=lambda: TaskId(new_id()))

    async def begin(self) -> Job:
        asked = Assignment(repo="o/n", prompt="t", surface="pr_agent", visibility=Visibility.OPEN)
        await self._store("task", TaskSubmitted(assignment=asked, submitted_by="anonymous", deadline_at=now() + timedelta(hours=1)))
        return self

    async def live(self, pause: float) -> None:
        """Everything that happens to it, to its end: one fact or several at once, some large, some that no surface tells."""
        for line in range(EVENTS):
            facts: list[Fact] = [self._said(line, number) for number in range(self.luck.choice([1, 1, 1, 5]))]
            if self.luck.random() < 0.1:
                facts.insert(0, AgentInterrupted(attempt=1, sitting=1, wish="w", by="a"))
            await self._store("output", *facts)
            await asyncio.sleep(pause * self.luck.random())
        await self._store("task", TaskCancelled(by="a", reason=""))

    def _said(self, line: int, number: int) -> AgentOutput:
        text = "data: é\n\nid: 7\n\n" * self.luck.choice([0, 1, 1, 10, 10, self.largest])
        return AgentOutput(attempt=1, line=line * 10 + number + 1, kind=Said.MESSAGE, text=text)

    async def _store(self, part: str, *facts: Fact) -> None:
        record = Record(at=now(), cause="t", facts=facts)
        await self.bus.log.say(subjects.event(HOME, self.task, part), record, id=new_id())


async def told_in_parts(gateway: Gateway, job: Job, luck: Random) -> None:
    """The job's whole life, and somewhere in it a new start of the gateway."""
    async with asyncio.TaskGroup() as group:
        group.create_task(job.live(0.02))
        group.create_task(restarted(gateway, luck))


async def restarted(gateway: Gateway, luck: Random) -> None:
    await asyncio.sleep(luck.random())
    await gateway.again()


@dataclass
class Reader:
    """Reads a bit, is cut, and comes back with the last id that it has wholly seen, until the job has ended."""

    gateway: Gateway
    path: str
    luck: Random
    cuts: int = 0
    seen: list[tuple[str, bytes]] = field(default_factory=list)

    async def read(self, bite: int) -> None:
        barren = 0  # an event may be larger than a bite
        while not self.ended:
            before = len(self.seen)
            try:
                await self._connection(self.luck.randrange(bite << barren) if bite else 1 << 40)
                self.cuts += not self.ended
            except OSError:  # it is being started again
                await asyncio.sleep(0.02)
            barren = 0 if len(self.seen) > before else min(barren + 1, 10)

    @property
    def ended(self) -> bool:
        return bool(self.seen) and any(word in self.seen[-1][1] for word in ENDS)

    async def _connection(self, most: int) -> None:
        """Cut, without a word, behind so many bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port, limit=1 << 20)
        try:
            writer.write(self._asked())
            raw = b""
            async with asyncio.timeout(60):
                while len(raw) < most and (piece := await reader.read(min(most - len(raw), 1 << 16))):
                    raw += piece
                    if b"\r\n0\r\n\r\n" in raw[-len(piece) - 8 :]:
                        break
                    if self.luck.random() < 0.02:
                        await asyncio.sleep(0.01)  # it lags, and what comes meanwhile waits for it
        finally:
            writer.transport.abort()
        self.seen += told(raw)

    def _asked(self) -> bytes:
        last = f"Last-Event-ID: {self.seen[-1][0]}\r\n" if self.seen else ""
        who = f"Authorization: Bearer {token()}\r\n" if self.path.startswith("/tasks") else ""
        return f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n{who}{last}\r\n".encode()


def told(raw: bytes) -> list[tuple[str, bytes]]:
    """Id and data of every event that is whole; a refusal or half an answer tells none."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        return []
    text = b"".join(chunks(rest))
    return [event for block in text.split(b"\n\n")[:-1] if (event := one(block))]


def chunks(rest: bytes) -> Iterator[bytes]:
    """What HTTP's chunks hold, the last of them perhaps in part."""
    while rest:
        size, line, rest = rest.partition(b"\r\n")
        if not line or not size.strip():
            return
        yield rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]


def one(block: bytes) -> tuple[str, bytes] | None:
    lines = dict(line.split(b": ", 1) for line in block.split(b"\n") if line and not line.startswith(b":"))
    return (lines[b"id"].decode(), lines[b"data"]) if b"id" in lines else None


async def calm(gateway: Gateway, path: str) -> Reader:
    """A reader that nobody cuts, held against itself: ids only ever rise, and the agent's lines are all there."""
    whole = Reader(gateway, path, Random(0))
    await whole.read(0)
    places = [place(id) for id, _ in whole.seen]
    assert places == sorted(set(places))
    assert lines(whole) >= EVENTS
    return whole


def place(id: str) -> tuple[int, int]:
    seq, _, index = id.partition("-")[2].partition(".")
    return int(seq), int(index or 0)


def lines(reader: Reader) -> int:
    """How many an agent said."""
    events: list[dict[str, Any]] = [json.loads(text) for _, text in reader.seen]
    return sum(event.get("type") == "agent" or event.get("event_type") == "agent.output" for event in events)


@asynccontextmanager
async def world() -> AsyncIterator[tuple[Gateway, Bus]]:
    with nats_server() as server:
        views = relay.running(RelaySettings(nats_url=server.url))  # tells a client how a job stands
        async with connect(BusSettings(nats_url=server.url), "test") as bus, views:
            gateway = Gateway(server.url)
            await gateway.start()
            try:
                yield gateway, bus
            finally:
                await gateway.stop()
