"""Spans, and the one that is under way here: begun at an edge, carried on by headers, told to whoever keeps them when they end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, Token
from datetime import datetime
from random import getrandbits
from types import TracebackType
from typing import Final, NamedTuple

from trunkline.contracts.trace import name_of, trace_of
from trunkline.telemetry.sampling import Sampler, Whose
from trunkline.telemetry.w3c import TRACEPARENT, TRACESTATE, parent, state

TENANT: Final = "Trunkline-Tenant"
"""On what waits without a tenant in its subject, as a timer does."""
LONGEST: Final = 200
"""Characters of an attribute."""
NO_HEADERS: Final = ("", "")
Value = str | int | float | bool
_OURS: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", re.ASCII)
_KEPT: Final = "01"


class Tracer:
    """Begins the spans of one service; `put` takes those that ended and are to be kept, and never waits."""

    def __init__(self, service: str, sampler: Sampler, put: Callable[[Span], None]) -> None:
        self.service = service
        self.put = put
        self.broken = sampler.broken
        self._own = sampler.own
        self._asked = sampler.asked

    def edge(self, name: str, headers: tuple[str, str], *, writes: bool) -> Span:
        """What comes from outside: it goes on from its sender's trace, where `headers` name one as they should, or begins its own.

        Whether it is kept is decided when it is known whose it is. Of those that begin here only what `writes` may be: that is what
        somebody will ask about.
        """
        came = parent(*headers) if headers[0] else None
        if came is None:
            digits = getrandbits(192).to_bytes(24).hex()
            span = Span(self, name, "00-" + digits[:32] + "-" + digits[32:] + "-00")
            if writes:
                span.wish = self._own
            return span
        span = Span(self, name, f"00-{came.trace_id}-{_fresh()}-00")
        span.parent_id, span.state = came.span_id, came.state
        if came.sampled:
            span.wish = self._asked
        return span

    def heard(self, name: str, headers: Mapping[str, str] | None, tenant: str, task: str) -> Span | None:
        """What comes over the bus from another service of ours; None where no trace comes with it."""
        text = headers.get(TRACEPARENT) if headers else None
        if text is None or headers is None or not _OURS.fullmatch(text):
            return None
        span = Span(self, name, text)
        span.tenant, span.task = tenant, task
        if TRACESTATE in headers:
            span.state = state(headers[TRACESTATE])
        if text.endswith(_KEPT):
            span.below(text)
        else:  # hardly anybody will see it, and it goes on under the id that it came with
            span._passes = True
        return span


class Span:
    """Enter it once: what is done inside is part of it. What most spans never have stands here and costs them nothing."""

    parent_id = state = tenant = task = by = failed = ""
    sampled = inner = ended = _broke = _passes = False
    wish: Callable[[Whose], bool] | None = None
    """Decides whether it is kept, given whose it is, and what kind of request."""
    attributes: Mapping[str, Value] = {}  # replaced, never changed
    links: tuple[str, ...] = ()
    within: Span | None = None
    took_ns = 0
    _token: Token[Span | None] | None = None

    def __init__(self, home: Tracer, name: str, traceparent: str) -> None:
        self.home = home
        self.name = name
        self.traceparent = traceparent
        """All that it is known by, as a header says it."""
        self.began_ns = time.time_ns()

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        return self.traceparent[36:52]

    def below(self, traceparent: str) -> None:
        """Becomes a part of that one, with an id of its own."""
        self.parent_id = traceparent[36:52]
        self.traceparent = f"{traceparent[:36]}{_fresh()}{traceparent[52:]}"
        self.sampled = traceparent.endswith(_KEPT)

    def belongs(self, tenant: str, by: str, what: str = "") -> None:
        self.tenant, self.by = tenant, by
        if self.wish is not None:
            if self.wish((tenant, what)):
                self.keep()
            self.wish = None

    def keep(self) -> None:
        self.sampled = True
        self.traceparent = self.traceparent[:53] + _KEPT

    def note(self, **attributes: Value) -> None:
        """More to tell of it: words of ours and numbers, nothing that anybody sent."""
        if self.sampled or self._broke:
            self.attributes = {**self.attributes, **attributes}

    def fail(self, how: str) -> None:
        self.failed = how[:LONGEST]

    def broke(self, how: str) -> None:
        """It failed by a defect, or for want of something: that is told also of a trace that is not kept, within bounds."""
        self.fail(how)
        self._broke = True

    def part(self, name: str, **attributes: Value) -> Span:
        """A span within this one; with the same owner."""
        made = Span(self.home, name, self.traceparent)
        made.below(self.traceparent)
        made.tenant, made.task, made.by, made.state, made.inner = self.tenant, self.task, self.by, self.state, True
        made.attributes = attributes
        made.within = self
        return made

    def __enter__(self) -> Span:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._token is not None:
            _CURRENT.reset(self._token)
        if error is not None and not self.failed:
            self.fail(str(getattr(error, "code", "")) or type(error).__name__)
        if self.sampled or self._broke:
            self.end()
        self.ended = True

    def lasted(self, began: datetime, ended: datetime) -> None:
        """As it was, where nobody could stand by."""
        self.began_ns, self.took_ns = int(began.timestamp() * 1e9), max(int((ended - began).total_seconds() * 1e9), 0)
        self.home.put(self)

    def end(self) -> None:
        """It is told, where it is kept."""
        if self._broke and not self.sampled and self.tenant and self.home.broken((self.tenant, self.name)):
            if self._passes:
                self.below(self.traceparent)
            self.keep()
        if self.sampled:
            self.took_ns = max(time.time_ns() - self.began_ns, 0)
            self.home.put(self)


_CURRENT: ContextVar[Span | None] = ContextVar("trunkline_span", default=None)
_NOTHING: Final[AbstractContextManager[None]] = nullcontext()
_UNTOLD: Final = Tracer("", Sampler(0.0, 0.0), lambda _: None)


def _fresh() -> str:
    return f"{getrandbits(64) or 1:016x}"


def current() -> Span | None:
    """What is under way here: what outlives the part in which it was begun is a part of the whole."""
    span = _CURRENT.get()
    while span is not None and span.ended:
        span = span.within
    return span


@contextmanager
def apart() -> Iterator[None]:
    """What is begun inside is done for many, and is no part of what is under way here."""
    token = _CURRENT.set(None)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def going_on(traceparent: str, tenant: str, task: str) -> AbstractContextManager[object]:
    """What is begun inside goes on from there, where that is a trace of ours; what is done inside is no part that anybody is told of."""
    if not _OURS.fullmatch(traceparent):
        return _NOTHING
    span = Span(_UNTOLD, "", traceparent)
    span.tenant, span.task = tenant, task
    return span


def part_of(whole: Span | None, name: str) -> AbstractContextManager[Span | None]:
    """A part of what is named, done by whoever was not begun inside of it; to be known by also where nothing is kept."""
    return whole.part(name) if whole else _NOTHING


def child(name: str, **attributes: Value) -> AbstractContextManager[Span | None]:
    """A part of what is under way here; nothing where that is not to be kept."""
    span = current()
    return span.part(name, **attributes) if span is not None and span.sampled else _NOTHING


def carried(headers: dict[str, str]) -> dict[str, str]:
    """`headers`, into which the trace is put that is under way here, for whoever goes on with it."""
    if span := current():
        headers[TRACEPARENT] = span.traceparent
        if span.state:
            headers[TRACESTATE] = span.state
    return headers


def carried_with_tenant(headers: dict[str, str]) -> dict[str, str]:
    """The same, where nothing else says whose it is."""
    span = current()
    if span is not None and span.tenant:
        headers[TENANT] = span.tenant
        carried(headers)
    return headers


def belongs_to(tenant: str, by: str) -> None:
    """Whose the request is that is under way here: who asks is known only after it began."""
    if span := _CURRENT.get():
        span.belongs(tenant, by)


def turns_out(traceparent: str, tenant: str, task: str, by: str) -> None:
    """What began as nobody's part, and is under way here, is found to be a part of that, which is ours."""
    span = current()
    if span is not None and not span.parent_id and _OURS.fullmatch(traceparent):
        span.below(traceparent)
        span.tenant, span.task, span.by = tenant, task, by


def concerns(task: str) -> None:
    """Which task it is about, where that was not known before it began."""
    if span := _CURRENT.get():
        span.task = task


def named(name: str | None, task: str) -> str:
    """What the trace of a new task is called, given the name that its sender wants, if any; the request becomes part of that trace.

    A request that goes on from a trace of its sender's stays in that: then the other trace is told where it goes on.
    """
    span = current()
    if span is None or span.inner:
        return name or name_of(task)
    name = name or name_of(span.trace_id if span.parent_id else task)
    if (wanted := trace_of(name)) != span.trace_id:
        if span.parent_id or span.task:
            _tell_on(span, wanted)
        else:
            span.traceparent = f"00-{wanted}{span.traceparent[35:]}"
    span.task = span.task or task
    return name


def _tell_on(span: Span, trace_id: str) -> None:
    if span.sampled:
        sign = Span(span.home, "goes on elsewhere", f"00-{trace_id}-{_fresh()}-{_KEPT}")
        sign.tenant, sign.by, sign.links = span.tenant, span.by, (span.trace_id,)
        span.home.put(sign)


class Run(NamedTuple):
    """One attempt at a task: whose it is, and where in its task's trace it belongs, as a header says."""

    tenant: str
    task: str
    traceparent: str = ""


def running(run: Run, **attributes: Value) -> AbstractContextManager[Span | None]:
    """An attempt as part of its task's own trace, whoever's request it was that let it begin; that one is named beside it."""
    here = current()
    if here is None:
        return _NOTHING
    span = here.part("run", **attributes)
    if _OURS.fullmatch(run.traceparent) and run.traceparent[3:35] != here.trace_id:
        span.below(run.traceparent)
        span.state = ""  # it belongs to the other trace, and may be another person's
        span.links = (here.trace_id,)
    span.tenant, span.task, span.inner = run.tenant, run.task, False
    return span


def environment(span: Span | None) -> dict[str, str]:
    """For a program that is started as part of it, as OpenTelemetry's own programs read it."""
    if span is None:
        return {}
    return {"TRACEPARENT": span.traceparent, **({"TRACESTATE": span.state} if span.state else {})}
