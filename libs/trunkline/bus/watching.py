"""Looking on while a service works: the span of everything it hears, and how much of what there is."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol

from nats.aio.msg import Msg

from trunkline.bus.delivery import LeaveAlone, PassOn, deliveries
from trunkline.contracts.errors import Broken, Unavailable
from trunkline.contracts.message import Reply
from trunkline.contracts.sandbox import site_of
from trunkline.telemetry.metrics import Meters, Uncounted
from trunkline.telemetry.traces import NO_HEADERS, TENANT, Span, Tracer

_TENANT_AT: Final = {"evt": 1, "deliver": 1, "hook": 1, "schedule": 1, "dead": 2, "work": -1}
"""Which token of a subject says whose it is, by the first."""
_NONE: Final[Mapping[str, str]] = {}
_BROKE: Final = (Broken.kind, Unavailable.kind)


class Bound(Protocol):
    """A durable consumer as a service reads it."""

    @property
    def source(self) -> tuple[str, str]: ...

    @property
    def bound(self) -> bool: ...


@dataclass(slots=True)
class Watch:
    """What one service has to tell of itself."""

    tracer: Tracer
    meters: Meters = field(default_factory=Uncounted)
    connected: Callable[[], bool] = lambda: False
    hears: Callable[[], bool] = lambda: False
    """Whether it heard everything that it is to hear a moment ago, and hears on."""
    consumers: list[Bound] = field(default_factory=list)

    def command(self, name: str, subject: str, headers: Mapping[str, str]) -> _Command:
        """For `with`: the time in which one command is answered; `name` is service and verb."""
        _, _, tenant, id, verb = subject.split(".", 4)
        return _Command(self.meters, verb, self.tracer.heard(name, headers, tenant, "" if id == "-" else id))

    def delivery(self, consumer: str, message: Msg, *, begins: bool = False) -> _Delivery:
        """For `with`: the time in which one message of a stream is worked on. One that `begins` is nobody's part: it has its own trace."""
        if begins:
            return _Delivery(self.meters, consumer, message, self.tracer.edge(consumer, NO_HEADERS, writes=True))
        headers, tokens = message.headers or _NONE, message.subject.split(".")
        place = _TENANT_AT.get(tokens[0])
        tenant = tokens[place] if place else headers.get(TENANT, "")
        task = tokens[2] if tokens[0] == "evt" else ""
        span = self.tracer.heard(consumer, headers, tenant, task)
        if span and span.sampled and (tries := deliveries(message)) > 1:
            span.note(delivery=tries)
        return _Delivery(self.meters, consumer, message, span)

    def handing(self, pool: str, tenant: str, task: str, headers: Mapping[str, str] | None) -> AbstractContextManager[object]:
        """For `with`: the time in which released work is put into the hands of an agent."""
        return self.tracer.heard(f"work-{pool_label(pool)}", headers, tenant, task) or nullcontext()

    def call(self, verb: str) -> Span:
        """For `with`: the time in which an agent's request is answered. What it is a part of is found out on the way."""
        return self.tracer.edge(f"agent.{verb}", NO_HEADERS, writes=False)


class _Command:
    __slots__ = ("_began", "_meters", "_outcome", "_span", "_verb")

    def __init__(self, meters: Meters, verb: str, span: Span | None) -> None:
        self._meters, self._verb, self._span = meters, verb, span
        self._outcome = "cut"
        self._began = time.perf_counter()

    def answered(self, reply: Reply) -> Reply:
        self._outcome = reply.refused.kind if reply.refused else "accepted"
        if reply.refused and self._span:
            (self._span.broke if reply.refused.kind in _BROKE else self._span.fail)(reply.refused.code)
        return reply

    def __enter__(self) -> _Command:
        if self._span:
            self._span.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        if self._span:
            self._span.__exit__(kind, error, where)
        self._meters.count("commands_total", self._verb, self._outcome)
        self._meters.took("command_seconds", time.perf_counter() - self._began, self._verb)


class _Delivery:
    __slots__ = ("_consumer", "_message", "_meters", "_outcome", "_span")

    def __init__(self, meters: Meters, consumer: str, message: Msg, span: Span | None) -> None:
        self._meters, self._consumer, self._message, self._span = meters, consumer, message, span
        self._outcome = "left"

    async def tried(self, work: Awaitable[None]) -> None:
        """The work itself; what becomes of it is settled around it."""
        try:
            await work
        except (LeaveAlone, PassOn):
            raise
        except Exception as error:
            self._outcome = "failed"
            if self._span:
                self._span.broke(str(getattr(error, "code", "")) or type(error).__name__)
            raise
        self._outcome = "done"

    def __enter__(self) -> _Delivery:
        if self._span:
            self._span.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        if self._span:
            self._span.__exit__(kind, error, where)
        if isinstance(self._meters, Uncounted):  # how often it was handed out takes a while to read
            return
        self._meters.count("deliveries_total", self._consumer, self._outcome)
        if deliveries(self._message) > 1:
            self._meters.count("redeliveries_total", self._consumer)


def pool_label(pool: str) -> str:
    """Sites have names that people give them, and there may be any number."""
    return "site" if site_of(pool) else pool
