"""Leaving by OTLP: spans in the protocol's own messages, by HTTP, in batches; a collector that is away costs spans, nothing else."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from trunkline.contracts.errors import Unsupported
from trunkline.telemetry.logs import struck_text
from trunkline.telemetry.traces import LONGEST, Span, Value

if TYPE_CHECKING:
    import aiohttp

log = structlog.get_logger()

PATH: Final = "/v1/traces"
PROTOBUF: Final = "application/x-protobuf"
WAITING: Final = 4096
"""Spans; beyond it the oldest go."""
AT_ONCE: Final = 64
"""Spans of one request: to write them down takes the service two milliseconds."""
TRIES: Final = 4
PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
"""However long a collector wants to be left alone."""
TIMEOUT_S: Final = 5.0
LAST_S: Final = 1.0
"""For what is left when the service stops."""
LONGEST_ANSWER: Final = 1 << 16
Strike = Callable[[str], str]
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


class _Told(NamedTuple):
    """What came of one try: why it did not arrive, if it did not, and in how many seconds another may mend that; None: never."""

    why: str = ""
    again: float | None = None
    refused: int = 0
    """Spans that the collector read and did not take."""


class Leaving:
    """Spans on their way out."""

    def __init__(self, collector: Collector, service: str, dropped: Callable[[int], None]) -> None:
        self._collector = collector
        self._service = service
        self._dropped = dropped
        self._waiting: deque[Span] = deque()
        self._flying: list[Span] = []
        self._overflowed = 0
        self._some = asyncio.Event()

    def take(self, spans: Iterable[Span]) -> None:
        """Never waits."""
        self._waiting.extend(spans)
        while len(self._waiting) > WAITING:
            self._waiting.popleft()
            self._overflowed += 1
        self._some.set()

    async def run(self, session: aiohttp.ClientSession) -> None:
        """For ever."""
        while True:
            await self._some.wait()
            await self.send_all(session)

    async def send_all(self, session: aiohttp.ClientSession) -> None:
        """What was under way when the last one was cut off goes first."""
        self._some.clear()
        while self._flying or self._waiting:
            if not self._flying:
                self._flying = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            try:
                why, refused = await self._sent(session, encoded(self._flying, self._service))
            except (ValueError, TypeError) as error:  # one that cannot be written down must not be the end of all others
                why, refused = type(error).__name__, 0
            self._lose(len(self._flying) if why else refused, why or "refused")
            self._flying = []
            self._lose(self._overflowed, "full")
            self._overflowed = 0

    def end(self) -> None:
        """Nothing more is sent: what is left is lost, aloud."""
        self._lose(len(self._flying) + len(self._waiting) + self._overflowed, "stopped")

    async def _sent(self, session: aiohttp.ClientSession, body: bytes) -> tuple[str, int]:
        """Why it did not arrive; empty: it did, but for so many."""
        told = _Told()
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(max(told.again or 0.0, PAUSE_S * 2**attempt * random.uniform(0.5, 1.0)))
            told = await self._try(session, body)
            if told.again is None:
                break
        return told.why, told.refused

    async def _try(self, session: aiohttp.ClientSession, body: bytes) -> _Told:
        from aiohttp import ClientError

        try:
            # Not to where a redirect leads: the headers may hold a credential.
            async with session.post(self._collector.url, data=body, allow_redirects=False) as answer:
                if answer.status < 300:
                    return _Told(refused=_refused(await answer.content.read(LONGEST_ANSWER), answer.content_type))
                return _Told(f"status {answer.status}", _patience(answer) if answer.status in _AGAIN else None)
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            return _Told(type(error).__name__, 0.0)

    def _lose(self, count: int, why: str) -> None:
        if count:
            log.warning("otlp.dropped", count=count, why=why)
            self._dropped(count)


@asynccontextmanager
async def leaving(collector: Collector, service: str, dropped: Callable[[int], None]) -> AsyncIterator[Leaving]:
    """Inside the block what is taken is sent; at its end, what is left gets a moment. Raises Unsupported where the messages are missing."""
    import aiohttp

    encoded((), service)
    away = Leaving(collector, service, dropped)
    headers = {"Content-Type": PROTOBUF, **collector.headers}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(TIMEOUT_S), trust_env=False) as session:
        sending = asyncio.get_running_loop().create_task(away.run(session))
        try:
            yield away
        finally:
            sending.cancel()
            await asyncio.wait({sending})
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                await away.send_all(session)
        away.end()


def _patience(answer: aiohttp.ClientResponse) -> float:
    """Seconds that it asks for, where it says so in seconds."""
    told = answer.headers.get("Retry-After", "")
    return min(float(told), LONGEST_PAUSE_S) if told.isascii() and told.isdigit() else 0.0


def _refused(answer: bytes, kind: str) -> int:
    """How many spans a collector did not take though it took the message."""
    if kind != PROTOBUF:
        return 0
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        return max(int(ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans), 0)
    except Exception:  # whatever it says instead, it said yes
        return 0


def encoded(spans: Sequence[Span], service: str) -> bytes:
    """As a collector reads it. Raises Unsupported."""
    try:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
        from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
    except ImportError:
        raise Unsupported(MISSING, code="NO_OTLP") from None
    # Looked through together, which costs a third; one by one where there is anything to strike.
    texts = "\n".join(text for span in spans for text in _texts(span))
    strike = _as_it_is if struck_text(texts) == texts else struck_text
    told = ResourceSpans(scope_spans=[ScopeSpans(spans=[_told(span, strike) for span in spans])])
    told.resource.attributes.extend([_pair("service.name", f"trunkline-{service}")])
    written: bytes = ExportTraceServiceRequest(resource_spans=[told]).SerializeToString()
    return written


def _texts(span: Span) -> list[str]:
    return [span.name, span.tenant, span.task, span.failed, span.state, *map(str, span.attributes.values())]


def _as_it_is(text: str) -> str:
    return text


def _told(span: Span, strike: Strike) -> Any:
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
        trace_state=span.state if strike(span.state) == span.state else "",
        name=strike(span.name),
        kind=Told.SPAN_KIND_INTERNAL if span.inner else Told.SPAN_KIND_SERVER,
        start_time_unix_nano=span.began_ns,
        end_time_unix_nano=span.began_ns + span.took_ns,
        attributes=[_pair(name, strike(value) if isinstance(value, str) else value) for name, value in attributes.items()],
        links=links,
        status=Status(code=Status.STATUS_CODE_ERROR, message=strike(span.failed)) if span.failed else None,
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
            return KeyValue(key=name, value=AnyValue(string_value=value[:LONGEST]))
