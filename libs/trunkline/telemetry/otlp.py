"""Leaving by OTLP: spans in the protocol's own messages, by HTTP, in batches; a collector that is away costs spans, nothing else."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from trunkline.contracts.errors import Unsupported
from trunkline.telemetry.logs import struck_text
from trunkline.telemetry.traces import LONGEST, Span, Value

if TYPE_CHECKING:
    import aiohttp

log = structlog.get_logger()

PATH: Final = "/v1/traces"
WAITING: Final = 16
"""Batches; beyond it the oldest go."""
TRIES: Final = 4
PAUSE_S: Final = 0.5
TIMEOUT_S: Final = 5.0
LAST_S: Final = 1.0
"""For what is left when the service stops."""
_AGAIN: Final = (429, 502, 503, 504)
MISSING: Final = "TRUNKLINE_OTLP_ENDPOINT is set, and what speaks OTLP is not installed: pip install 'trunkline[otlp]'."


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go; `headers` may hold a credential."""

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        base = self.endpoint.rstrip("/")
        return base if base.endswith(PATH) else base + PATH


class Leaving:
    """Batches on their way out."""

    def __init__(self, collector: Collector, service: str, dropped: Callable[[int], None]) -> None:
        self._collector = collector
        self._service = service
        self._dropped = dropped
        self._batches: deque[list[Span]] = deque()
        self._some = asyncio.Event()

    def take(self, spans: list[Span]) -> None:
        """Never waits."""
        if len(self._batches) >= WAITING:
            self._lose(len(self._batches.popleft()), "full")
        self._batches.append(spans)
        self._some.set()

    async def run(self, session: aiohttp.ClientSession) -> None:
        """For ever."""
        while True:
            await self._some.wait()
            await self.send_all(session)

    async def send_all(self, session: aiohttp.ClientSession) -> None:
        self._some.clear()
        while self._batches:
            batch = self._batches.popleft()
            if why := await self._send(session, encoded(batch, self._service)):
                self._lose(len(batch), why)

    async def _send(self, session: aiohttp.ClientSession, body: bytes) -> str:
        """Why it did not arrive; empty: it did."""
        why = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(PAUSE_S * 2**attempt * random.uniform(0.5, 1.0))
            why, again = await self._try(session, body)
            if not again:
                break
        return why

    async def _try(self, session: aiohttp.ClientSession, body: bytes) -> tuple[str, bool]:
        """Why it did not arrive, and whether another try may mend that."""
        from aiohttp import ClientError

        try:
            async with session.post(self._collector.url, data=body) as answer:
                return ("", False) if answer.status < 300 else (f"status {answer.status}", answer.status in _AGAIN)
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            return type(error).__name__, True

    def _lose(self, count: int, why: str) -> None:
        log.warning("otlp.dropped", count=count, why=why)
        self._dropped(count)


@asynccontextmanager
async def leaving(collector: Collector, service: str, dropped: Callable[[int], None]) -> AsyncIterator[Leaving]:
    """Inside the block what is taken is sent; at its end, what is left gets a moment. Raises Unsupported where the messages are missing."""
    import aiohttp

    encoded((), service)
    away = Leaving(collector, service, dropped)
    headers = {"Content-Type": "application/x-protobuf", **collector.headers}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(TIMEOUT_S), trust_env=False) as session:
        sending = asyncio.get_running_loop().create_task(away.run(session))
        try:
            yield away
        finally:
            sending.cancel()
            await asyncio.wait({sending})
        try:
            async with asyncio.timeout(LAST_S):
                await away.send_all(session)
        except TimeoutError:
            log.warning("otlp.dropped", count=0, why="stopped")


def encoded(spans: Iterable[Span], service: str) -> bytes:
    """As a collector reads it. Raises Unsupported."""
    try:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
        from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
    except ImportError:
        raise Unsupported(MISSING, code="NO_OTLP") from None
    told = ResourceSpans(scope_spans=[ScopeSpans(spans=[_told(span) for span in spans])])
    told.resource.attributes.extend([_pair("service.name", f"trunkline-{service}")])
    written: bytes = ExportTraceServiceRequest(resource_spans=[told]).SerializeToString()
    return written


def _told(span: Span) -> Any:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Told
    from opentelemetry.proto.trace.v1.trace_pb2 import Status

    attributes: dict[str, Value] = {"trunkline.tenant": span.tenant, **span.attributes}
    if span.task:
        attributes["trunkline.task"] = span.task
    links = [Told.Link(trace_id=bytes.fromhex(trace), span_id=bytes(8)) for trace in span.links]
    return Told(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        trace_state=span.state,
        name=span.name,
        kind=Told.SPAN_KIND_INTERNAL if span.inner else Told.SPAN_KIND_SERVER,
        start_time_unix_nano=span.began_ns,
        end_time_unix_nano=span.began_ns + span.took_ns,
        attributes=[_pair(name, value) for name, value in attributes.items()],
        links=links,
        status=Status(code=Status.STATUS_CODE_ERROR, message=span.failed) if span.failed else None,
    )


def _pair(name: str, value: Value) -> Any:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

    match value:
        case bool():
            return KeyValue(key=name, value=AnyValue(bool_value=value))
        case int():
            return KeyValue(key=name, value=AnyValue(int_value=value))
        case float():
            return KeyValue(key=name, value=AnyValue(double_value=value))
        case _:
            return KeyValue(key=name, value=AnyValue(string_value=struck_text(value)[:LONGEST]))
