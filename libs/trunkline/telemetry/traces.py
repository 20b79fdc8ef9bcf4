"""Spans, and the one that is under way here: begun at an edge, carried on by headers, told to whoever keeps them when they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from random import getrandbits
from types import TracebackType
from typing import Final, NamedTuple

from trunkline.contracts.trace import name_of, trace_of
from trunkline.telemetry.sampling import Sampler
from trunkline.telemetry.w3c import TRACEPARENT, TRACESTATE, Parent, parent

TENANT: Final = "Trunkline-Tenant"
"""On what waits without a tenant in its subject, as a timer does."""
LONGEST: Final = 200
"""Characters of an attribute."""
Value = str | int | float | bool


class Tracer:
    """Begins the spans of one service; `put` takes those that ended and are to be kept, and never waits."""

    def __init__(self, service: str, sampler: Sampler, put: Callable[[Span], None]) -> None:
        self.service = service
        self.put = put
        self._sampler = sampler

    def edge(self, name: str, headers: tuple[str, str], *, writes: bool) -> Span:
        """What comes from outside: it goes on from its sender's trace, where `headers` name one as they should, or begins its own.

        Of those that begin here only what `writes` may be kept: that is what somebody will ask about.
        """
        came = parent(*headers)
        if came is None:
            return Span(self, name, Parent(f"{getrandbits(128):032x}", "", writes and self._sampler.own()))
        return Span(self, name, came._replace(sampled=came.sampled and self._sampler.asked()))

    def heard(self, name: str, headers: Mapping[str, str] | None, tenant: str, task: str) -> Span | None:
        """What comes over the bus from another service of ours; None where no trace comes with it."""
        text = headers.get(TRACEPARENT) if headers else None
        came = parent(text, headers.get(TRACESTATE, "")) if headers and text else None
        if came is None:
            return None
        span = Span(self, name, came)
        span.tenant, span.task = tenant, task
        return span


class Span:
    """Enter it once: what is done inside is part of it."""

    __slots__ = (
        "_token", "attributes", "began_ns", "by", "failed", "home", "inner", "links", "name", "parent_id", "sampled", "span_id", "state",
        "task", "tenant", "took_ns", "trace_id",
    )  # fmt: skip

    def __init__(self, home: Tracer, name: str, came: Parent) -> None:
        self.home = home
        self.name = name
        self.trace_id, self.parent_id, self.sampled, self.state = came
        self.span_id = f"{getrandbits(64) or 1:016x}"
        self.tenant = self.task = self.by = self.failed = ""
        self.inner = False
        self.attributes: dict[str, Value] = {}
        self.links: list[str] = []
        self.began_ns = time.time_ns()
        self.took_ns = 0
        self._token: Token[Span | None] | None = None

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def note(self, **attributes: Value) -> None:
        """More to tell of it: words of ours and numbers, nothing that anybody sent."""
        if self.sampled:
            self.attributes.update(attributes)

    def fail(self, how: str) -> None:
        self.failed = how[:LONGEST]

    def part(self, name: str, **attributes: Value) -> Span:
        """A span within this one; with the same owner."""
        made = Span(self.home, name, Parent(self.trace_id, self.span_id, self.sampled, self.state))
        made.tenant, made.task, made.by, made.inner = self.tenant, self.task, self.by, True
        made.attributes = attributes
        return made

    def __enter__(self) -> Span:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._token is not None:
            _CURRENT.reset(self._token)
        if error is not None and not self.failed:
            self.fail(str(getattr(error, "code", "")) or type(error).__name__)
        if self.sampled:
            self.took_ns = max(time.time_ns() - self.began_ns, 0)
            self.home.put(self)


_CURRENT: ContextVar[Span | None] = ContextVar("trunkline_span", default=None)
_NOTHING: Final[AbstractContextManager[None]] = nullcontext()


def current() -> Span | None:
    """What is under way here."""
    return _CURRENT.get()


def child(name: str, within: Span | None = None, **attributes: Value) -> AbstractContextManager[Span | None]:
    """A part of what is under way here, or of `within`; nothing where that is not to be kept."""
    span = within or _CURRENT.get()
    return span.part(name, **attributes) if span is not None and span.sampled else _NOTHING


def carried(headers: Mapping[str, str]) -> Mapping[str, str]:
    """`headers` with the trace that is under way here, for whoever goes on with it."""
    span = _CURRENT.get()
    if span is None:
        return headers
    return {**headers, TRACEPARENT: span.traceparent, **({TRACESTATE: span.state} if span.state else {})}


def carried_with_tenant(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The same, where nothing else says whose it is."""
    span = _CURRENT.get()
    return headers if span is None or not span.tenant else {**carried(headers), TENANT: span.tenant}


def belongs_to(tenant: str, by: str) -> None:
    """Whose the request is that is under way here: who asks is known only after it began."""
    if span := _CURRENT.get():
        span.tenant, span.by = tenant, by


def concerns(task: str) -> None:
    """Which task it is about, where that was not known before it began."""
    if span := _CURRENT.get():
        span.task = task


def named(name: str | None, task: str) -> str:
    """What the trace of a new task is called, given the name that its sender wants, if any; the request becomes part of that trace.

    A request that goes on from a trace of its sender's stays in that: then the other trace is told where it goes on.
    """
    span = _CURRENT.get()
    if span is None or span.inner:
        return name or name_of(task)
    name = name or name_of(span.trace_id if span.parent_id else task)
    if (wanted := trace_of(name)) != span.trace_id:
        if span.parent_id or span.task:
            _tell_on(span, wanted)
        else:
            span.trace_id = wanted
    span.task = span.task or task
    return name


def _tell_on(span: Span, trace_id: str) -> None:
    sign = Span(span.home, "goes on elsewhere", Parent(trace_id, "", span.sampled))
    sign.tenant, sign.by, sign.links = span.tenant, span.by, [span.trace_id]
    if sign.sampled:
        span.home.put(sign)


class Run(NamedTuple):
    """One attempt at a task: whose it is, and where in its task's trace it belongs, as a header says."""

    tenant: str
    task: str
    traceparent: str = ""


def running(run: Run, **attributes: Value) -> AbstractContextManager[Span | None]:
    """An attempt as part of its task's own trace, whoever's request it was that let it begin; that one is named beside it."""
    here = _CURRENT.get()
    came = parent(run.traceparent)
    if here is None:
        return _NOTHING
    span = here.part("run", **attributes)
    if came is not None and came.trace_id != here.trace_id:
        span.trace_id, span.parent_id, span.sampled = came.trace_id, came.span_id, came.sampled
        span.links = [here.trace_id]
    span.tenant, span.task, span.inner = run.tenant, run.task, False
    return span


def environment(span: Span | None) -> dict[str, str]:
    """For a program that is started as part of it, as OpenTelemetry's own programs read it."""
    if span is None:
        return {}
    return {"TRACEPARENT": span.traceparent, **({"TRACESTATE": span.state} if span.state else {})}
