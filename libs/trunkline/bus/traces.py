"""Spans on the bus: told in batches a moment after they ended, read again trace by trace; what nobody has room for is dropped, aloud."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import orjson
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from pydantic import ValidationError

from trunkline.bus.direct import DirectReader
from trunkline.bus.streams import TRACES
from trunkline.contracts import subjects
from trunkline.contracts.ids import TenantId
from trunkline.contracts.trace import SpanPage, SpanView
from trunkline.telemetry.logs import struck
from trunkline.telemetry.traces import LONGEST, Span

log = structlog.get_logger()

KEPT: Final = 4096
"""Spans that wait to be told; beyond it the oldest go."""
GATHER: Final = 0.2
"""Seconds in which spans gather: what a killed service had to tell is lost no further back."""
AT_ONCE: Final = 128
"""Spans of one message: some 50 KiB, which take the service four milliseconds."""

Leave = Callable[[list[Span]], None]


class Spool:
    """What ended here and is not told yet. `leave` takes each batch too, wherever else spans go."""

    def __init__(self, client: Client, dropped: Callable[[int], None], leave: Leave | None = None) -> None:
        self._client = client
        self._dropped = dropped
        self._leave = leave
        self._waiting: deque[Span] = deque()
        self._lost = 0
        self._some = asyncio.Event()

    def put(self, span: Span) -> None:
        """Never waits. What belongs to no tenant nobody could ask for."""
        if not span.tenant:
            return
        if len(self._waiting) >= KEPT:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(span)
        self._some.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._some.wait()
            await asyncio.sleep(GATHER)
            if self._client.is_connected:  # what the bus has no room for now is kept for later, and not in the way of what matters
                await self.flush()

    async def flush(self) -> None:
        """Tell all that waits."""
        self._some.clear()
        spans, self._waiting = self._waiting, deque()
        if self._lost:
            log.warning("spans.dropped", count=self._lost)
            self._dropped(self._lost)
            self._lost = 0
        if not spans:
            return
        if self._leave:
            self._leave(list(spans))
        for (tenant, trace_id), batch in _by_trace(spans):
            await self._tell(TenantId(tenant), trace_id, batch)
            await asyncio.sleep(0)  # work goes on in between

    async def last(self) -> None:
        """Nothing comes any more: what is left reaches nats-server, if it is there."""
        waited = bool(self._waiting)
        await self.flush()
        if waited:
            with suppress(NatsError, TimeoutError):
                await self._client.flush(timeout=1)

    async def _tell(self, tenant: TenantId, trace_id: str, batch: list[Span]) -> None:
        body = struck(orjson.dumps({"tenant": tenant, "spans": [_told(span) for span in batch]}))
        try:
            await self._client.publish(subjects.trace(tenant, trace_id), body)
        except (NatsError, ValueError) as error:  # a trace is no reason to wait, or to fail
            log.warning("spans.dropped", count=len(batch), error=type(error).__name__)
            self._dropped(len(batch))


class Traces:
    """What was told of traces and is still kept."""

    def __init__(self, client: Client, js: JetStreamContext, *, replicated: bool) -> None:
        self._direct = DirectReader(client, js, replicated=replicated, stream=TRACES)
        self._starting = asyncio.Lock()
        self._started = False

    async def spans(self, tenant: TenantId, trace_id: str, limit: int) -> list[SpanView]:
        """The first `limit` that were told. Raises BusAway."""
        await self._start()
        found: list[SpanView] = []
        async for stored in self._read(tenant, trace_id):
            found.extend(stored)
            if len(found) >= limit:
                break
        return found[:limit]

    async def _read(self, tenant: TenantId, trace_id: str) -> AsyncIterator[tuple[SpanView, ...]]:
        async for stored in self._direct.read(subjects.trace(tenant, trace_id), 1):
            with suppress(ValidationError):  # of another version; a trace may have holes
                yield SpanPage.model_validate_json(stored.body).spans

    async def _start(self) -> None:
        async with self._starting:
            if not self._started:
                await self._direct.start()
                self._started = True


def _by_trace(spans: Iterable[Span]) -> Iterable[tuple[tuple[str, str], list[Span]]]:
    found: dict[tuple[str, str], list[Span]] = {}
    for span in spans:
        found.setdefault((span.tenant, span.trace_id), []).append(span)
    for name, batch in found.items():
        yield from ((name, batch[at : at + AT_ONCE]) for at in range(0, len(batch), AT_ONCE))


def _told(span: Span) -> dict[str, Any]:
    """As SpanView has it."""
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "service": span.home.service,
        "name": span.name,
        "began_us": span.began_ns // 1000,
        "took_us": span.took_ns // 1000,
        "failed": span.failed,
        "task": span.task,
        "by": span.by[:LONGEST],
        "attributes": {name: text[:LONGEST] if isinstance(text, str) else text for name, text in span.attributes.items()},
        "links": span.links,
    }
