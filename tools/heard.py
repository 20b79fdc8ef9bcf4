"""Finds out what each service hears, by having it subscribe to a notebook instead of the bus."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module, util
from typing import Any, Final, Literal

from pydantic import BaseModel

from trunkline.bus.streams import DEAD, DELIVERIES, EVENTS, SCHEDULES, TIMERS, WORK
from trunkline.bus.work import WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.letters import LetterHandled
from trunkline.contracts.message import Command
from trunkline.contracts.record import Record
from trunkline.contracts.schedule import Schedule
from trunkline.contracts.task import Priority
from trunkline.contracts.webhook import DeliveryView
from trunkline_cli.services import NAMES
from trunkline_sandbox.wiring import POOL

_ALL_OF: Final = {
    EVENTS: subjects.ALL_EVENTS,
    DELIVERIES: subjects.ALL_DELIVERIES,
    DEAD: subjects.ALL_DEAD,
    SCHEDULES: subjects.ALL_SCHEDULES,
}
Kind = Literal["command", "facts", "timer", "work", "agent", "told"]


@dataclass(frozen=True, slots=True)
class Heard:
    """One subscription of one service."""

    service: str
    kind: Kind
    name: str
    """The verb, the part, or the lane of a pool."""
    subject: str
    stream: str | None = None
    durable: str | None = None
    message: type[BaseModel] | None = None
    """What travels there; None: records."""


@dataclass(slots=True)
class Notebook:
    """Takes down what a service would hear; it has the words of the Inlet."""

    service: str
    heard: list[Heard] = field(default_factory=list)

    def command(self, service: str, model: type[Command], answer: Callable[..., Any], *, stores: bool = False) -> None:
        verb = str(model.model_fields["type"].default)
        self.heard.append(Heard(self.service, "command", verb, subjects.commands_of(service, verb), message=model))

    def hear(self, verb: str, model: type[BaseModel], answer: Callable[..., Any]) -> None:
        """What agents ask."""
        self.heard.append(Heard(self.service, "agent", verb, subjects.agent_calls(verb), message=model))

    def gone(self, tell: Callable[..., None]) -> None:
        """What nats-server says of agents is none of our messages."""

    def facts(self, durable: str, part: str, answer: Callable[..., Any], kinds: object = (), passed: object = None) -> None:
        self.heard.append(Heard(self.service, "facts", part, subjects.events_of_part(part), EVENTS, durable))

    def stored(self, stream: str, durable: str, answer: Callable[..., Any], how: object) -> None:
        """What lies in a stream, whatever its part; a delivery is the whole of its record."""
        known: dict[str, type[BaseModel]] = {DELIVERIES: DeliveryView, DEAD: LetterHandled, SCHEDULES: Schedule}
        message = known.get(stream, Record)
        self.heard.append(Heard(self.service, "facts", durable, _ALL_OF[stream], stream, durable, message))

    def timer(self, service: str, verb: str, model: type[BaseModel], answer: Callable[..., Any], how: object = None) -> None:
        due = subjects.due(service, verb)
        self.heard.append(Heard(self.service, "timer", verb, due, TIMERS, f"due-{service}-{verb}", model))


class _Anybody:
    """Stands for every handler while a service subscribes."""

    def __getattr__(self, name: str) -> _Anybody:
        return self


def of(service: str) -> list[Heard]:
    """Everything that a service hears on subscriptions of its own."""
    notebook = Notebook(service)
    if util.find_spec(f"trunkline_{service}.subscriptions"):
        module = import_module(f"trunkline_{service}.subscriptions")
        for subscribe in (each for name, each in vars(module).items() if name.startswith("subscribe")):
            subscribe(notebook, *(_Anybody() for _ in list(inspect.signature(subscribe).parameters)[1:]))
    if service == "sandbox":  # released work is taken in its wiring, by hands and not by a handler
        notebook.heard.extend(_lane(service, lane) for lane in Priority)
    return notebook.heard


def _lane(service: str, lane: Priority) -> Heard:
    """Its lines have consumers that are made when somebody first asks there, one for each tenant."""
    return Heard(service, "work", f"{POOL}-{lane}", f"work.{POOL}.line.{lane}.*", WORK, message=WorkItem)


def everything() -> list[Heard]:
    return [heard for service in NAMES for heard in of(service)]
