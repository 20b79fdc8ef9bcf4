"""Signs of life of agents that call home: only the last of each is kept, in memory, and none is a fact."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from typing import Final, NamedTuple

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from trunkline.bus.patience import patiently
from trunkline.bus.streams import BEATS, beats_kept
from trunkline.bus.writing import publish_all
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId

GATHER: Final = 1.0
"""Seconds; nobody counts as silent for so little, and of a process that is killed nobody misses more."""
MOST: Final = 256
_HEARTBEAT: Final = b"Z"
"""As the moment of a heartbeat ends, and that of any other call in digits: every version reads both."""


class Sign(NamedTuple):
    """A sign of life; `heartbeat`: of one that sends heartbeats, so that their absence means something."""

    at: datetime
    heartbeat: bool = False

    def written(self) -> bytes:
        return orjson.dumps(self.at, option=orjson.OPT_UTC_Z if self.heartbeat else None)[1:-1]

    @classmethod
    def read(cls, body: bytes) -> Sign | None:
        moment = _moment(body)
        return cls(moment, body.endswith(_HEARTBEAT)) if moment else None


class Beats:
    """Every instance's last sign of life. Whoever loses one waits for the next: nothing here is waited for or tried again."""

    def __init__(self, client: Client, js: JetStreamContext, *, replicated: bool) -> None:
        self._client = client
        self._js = js
        self._replicated = replicated

    async def put(self, tenant: TenantId, task: TaskId, at: datetime, *, heartbeat: bool = False) -> None:
        """It was alive at `at`; told to whoever listens now, and kept in place of the one before."""
        await self.put_all({subjects.beat(tenant, task): Sign(at, heartbeat)})

    async def put_all(self, signs: Mapping[str, Sign]) -> None:
        """As `put`, by subject."""
        with suppress(NatsError):
            await publish_all(self._client, [(subject, sign.written()) for subject, sign in signs.items()])

    async def last(self, tenant: TenantId, task: TaskId) -> datetime | None:
        """When it was last alive; None: nobody knows. Raises BusAway."""
        sign = await self.sign(tenant, task)
        return sign.at if sign else None

    async def sign(self, tenant: TenantId, task: TaskId) -> Sign | None:
        """Its last; None: nobody knows. Raises BusAway."""
        subject = subjects.beat(tenant, task)
        try:
            found = await patiently(lambda: self._newest(subject))
        except NotFoundError:
            return None
        return Sign.read(found.data or b"")

    async def _newest(self, subject: str) -> RawStreamMsg:
        try:
            return await self._js.get_last_msg(BEATS, subject, direct=not self._replicated)
        except NoRespondersError:
            if not self._replicated:  # a server alone forgets, when it starts anew, that there was such a stream
                await self._js.add_stream(beats_kept(1))
            raise

    @asynccontextmanager
    async def heard(self, tenant: TenantId, task: TaskId, tell: Callable[[datetime], None]) -> AsyncIterator[None]:
        """Inside the block `tell` is called with each moment, as it comes."""

        async def receive(message: Msg) -> None:
            if moment := _moment(message.data):
                tell(moment)

        subscription = await self._client.subscribe(subjects.beat(tenant, task), cb=receive)
        try:
            yield
        finally:
            with suppress(NatsError):
                await subscription.unsubscribe()


class GatheredBeats:
    """Beats whose signs wait a moment for company: at some thirty a second, each alone would wake nats-server and us once more."""

    def __init__(self, beats: Beats) -> None:
        self._beats = beats
        self._waiting: dict[str, Sign] = {}
        self._telling: set[asyncio.Task[None]] = set()

    async def put(self, tenant: TenantId, task: TaskId, at: datetime, *, heartbeat: bool = False) -> None:
        subject = subjects.beat(tenant, task)
        waiting = self._waiting.get(subject)
        self._waiting[subject] = Sign(at, heartbeat or (waiting is not None and waiting.heartbeat))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(GATHER, self._tell)
        elif len(self._waiting) >= MOST:
            await self._told()

    async def last(self, tenant: TenantId, task: TaskId) -> datetime | None:
        """Raises BusAway."""
        waiting = self._waiting.get(subjects.beat(tenant, task))
        return waiting.at if waiting else await self._beats.last(tenant, task)

    def heard(self, tenant: TenantId, task: TaskId, tell: Callable[[datetime], None]) -> AbstractAsyncContextManager[None]:
        return self._beats.heard(tenant, task, tell)

    async def _told(self) -> None:
        signs, self._waiting = self._waiting, {}
        await self._beats.put_all(signs)

    def _tell(self) -> None:
        task = asyncio.get_running_loop().create_task(self._told())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)


def _moment(body: bytes) -> datetime | None:
    try:
        moment = datetime.fromisoformat(body.decode())
    except ValueError:
        return None
    return moment if moment.tzinfo else None
