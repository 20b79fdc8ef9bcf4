"""Signs of life of agents that call home: only the last of each is kept, in memory, and none is a fact."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from trunkline.bus.patience import patiently
from trunkline.bus.streams import BEATS
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId


class Beats:
    """Every instance's last sign of life. Whoever loses one waits for the next: nothing here is waited for or tried again."""

    def __init__(self, client: Client, js: JetStreamContext, *, replicated: bool) -> None:
        self._client = client
        self._js = js
        self._replicated = replicated

    async def put(self, tenant: TenantId, task: TaskId, at: datetime) -> None:
        """It was alive at `at`; told to whoever listens now, and kept in place of the one before."""
        with suppress(NatsError):
            await self._client.publish(subjects.beat(tenant, task), at.isoformat().encode())

    async def last(self, tenant: TenantId, task: TaskId) -> datetime | None:
        """When it was last alive; None: nobody knows. Raises BusAway."""
        subject = subjects.beat(tenant, task)
        try:
            found = await patiently(lambda: self._js.get_last_msg(BEATS, subject, direct=not self._replicated))
        except NotFoundError:
            return None
        return _moment(found.data or b"")

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


def _moment(body: bytes) -> datetime | None:
    try:
        moment = datetime.fromisoformat(body.decode())
    except ValueError:
        return None
    return moment if moment.tzinfo else None
