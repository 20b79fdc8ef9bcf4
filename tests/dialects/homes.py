"""The omnara dialect in front of a small world, and the owners of instances and dispatches in it, by the router's own model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from trunkline.auth.claims import Token
from trunkline.auth.instance_keys import PREFIX, InstanceKeys
from trunkline.auth.principal import HOME, Principal, Role
from trunkline.contracts.dispatch import ReportWorkflowRun
from trunkline.contracts.dispatch_views import DispatchPage, DispatchView, ListDispatches
from trunkline.contracts.errors import Invalid, NotFound, Unauthenticated
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.instance import (
    AskInput,
    GetInstance,
    MoveInstance,
    OpenInstance,
    ReadInstance,
    SayAsInstance,
    TellInstance,
    instance_subject,
)
from trunkline.contracts.instance_views import InstanceView, fold_instance, newest
from trunkline.contracts.message import Fact, Message
from trunkline.contracts.record import Event
from trunkline.contracts.task import TaskStatus, TaskSubmitted
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialects.omnara.routes import Omnara, parts
from trunkline_gateway.dialects.omnara.visitors import InstanceCallers
from trunkline_gateway.ports import Feed, Happenings
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases import Tasks
from trunkline_gateway.usecases.dispatching import Dispatching
from trunkline_gateway.usecases.instance_stream import InstanceStream
from trunkline_gateway.usecases.instances import Instances
from trunkline_router.model import instance, instance_answers, instance_life
from trunkline_router.model.instance import Instance
from trunkline_router.model.instance_cues import InstanceWish, Opening, Wished
from trunkline_router.model.instance_opening import assignment, opening

HomeWish = InstanceWish | GetInstance | ListDispatches | ReportWorkflowRun
REPEAT: Final = timedelta(seconds=120)
SEALING: Final = b"k" * 32
API_KEY: Final = "the-api-key-of-ann"
ANN: Final = Principal(HOME, "ann", Role.AGENT)


class Log(Feed, Happenings, Protocol):
    """Both ways to read it."""


@dataclass
class Beats:
    """ports.Beats, and what was put there."""

    put_there: list[tuple[str, datetime]] = field(default_factory=list)
    hearts: list[bool] = field(default_factory=list)
    """Which of those were of one that sends heartbeats."""
    ears: list[Callable[[datetime], None]] = field(default_factory=list)

    async def put(self, tenant: TenantId, task: TaskId, at: datetime, *, heartbeat: bool = False) -> None:
        self.put_there.append((task, at))
        self.hearts.append(heartbeat)
        for tell in self.ears:
            tell(at)

    async def last(self, tenant: TenantId, task: TaskId) -> datetime | None:
        return max((at for known, at in self.put_there if known == task), default=None)

    @asynccontextmanager
    async def heard(self, tenant: TenantId, task: TaskId, tell: Callable[[datetime], None]) -> AsyncIterator[None]:
        self.ears.append(tell)
        try:
            yield
        finally:
            self.ears.remove(tell)


@dataclass
class Home:
    """What the surface stands on: beats, dispatches, and the key that keys are made of; without one none are made."""

    beats: Beats = field(default_factory=Beats)
    dispatches: list[DispatchView] = field(default_factory=list)
    reported: list[ReportWorkflowRun] = field(default_factory=list)
    sealing_key: bytes = SEALING
    heartbeat_s: float = 30.0
    revoked: set[str] = field(default_factory=set)
    """Marks of keys."""

    def keys(self, now: Callable[[], datetime]) -> InstanceKeys:
        return InstanceKeys(self.sealing_key, lambda: now().timestamp())


@dataclass(frozen=True)
class Holders:
    """ports.Bearers: keys by what proves them, and one API key."""

    home: Home
    now: Callable[[], datetime]

    def who(self, text: str, *, late: bool = False) -> Principal:
        if text == API_KEY:
            return ANN
        if not text.startswith(PREFIX):
            raise Unauthenticated("this API key is not one of ours", code="BAD_API_KEY")
        key = self.home.keys(self.now).read(text)
        if not late and _revoked(self.home, key.token):
            raise Unauthenticated("the key of this instance was revoked; its task is over", code="INSTANCE_KEY_REVOKED")
        return key.principal


def _revoked(home: Home, token: Token) -> bool:
    return token.mark in home.revoked


def omnara(home: Home, log: Log, tasks: Tasks, means: tuple[Streams, BodyReader]) -> Omnara:
    streams, body = means
    instances = Instances(tasks, home.beats, tasks.now)
    dispatching = Dispatching(tasks, instances, tasks.now, keys=bool(home.sealing_key))
    stream = InstanceStream(instances, log, log, home.beats, home.heartbeat_s)
    return Omnara(InstanceCallers(Holders(home, tasks.now)), parts(dispatching, stream, streams, body))


@dataclass(frozen=True)
class Carried:
    """What is to be said, on which part, and the answer."""

    facts: Sequence[tuple[str, Sequence[Fact]]]
    body: Message | None


def carry_out(home: Home, events: Sequence[Event], wish: HomeWish) -> Carried:
    """What the router and the relay make of it."""
    match wish:
        case ListDispatches():
            return Carried((), _listed(home, wish))
        case ReportWorkflowRun():
            home.reported.append(wish)
            return Carried((), None)
        case GetInstance():
            return Carried((), _view(events, wish))
        case _:
            return _decided(events, wish)


def _decided(events: Sequence[Event], wish: InstanceWish) -> Carried:
    state, made = _folded(events, wish), _submitted(events, wish)
    told: list[tuple[str, Sequence[Fact]]] = []
    if made is None and isinstance(wish, OpenInstance | SayAsInstance) and wish.agent_type:
        deadline = wish.at + timedelta(hours=1)
        made = TaskSubmitted(assignment=assignment(wish), submitted_by=wish.by, deadline_at=deadline, aliases=wish.aliases)
        told.append(("task", [made]))
    begins: Opening | None = opening(made, TaskStatus.ASSIGNED) if made else None
    facts = instance_life.decide(state, Wished(wish, instance_subject(wish.task_id), REPEAT, begins))
    for fact in facts:
        state = instance.evolve(state, fact, wish.at)
    if facts:
        told.append(("instance", facts))
    assert state is not None
    return Carried(told, _answer(wish, state))


def _answer(wish: InstanceWish, state: Instance) -> Message:
    match wish:
        case SayAsInstance():
            return instance_answers.said(wish, state)
        case TellInstance():
            return instance_answers.told(wish, state)
        case AskInput():
            return instance_answers.asked(wish, state)
        case ReadInstance():
            return instance_answers.pending(wish, state, REPEAT)
        case OpenInstance() | MoveInstance():
            return instance_answers.standing(wish.task_id, state)


def _view(events: Sequence[Event], wish: GetInstance) -> InstanceView:
    view: InstanceView | None = None
    for event in _of(events, wish):
        view = fold_instance(view, event.fact, event.at, (wish.tenant, wish.task_id)) if event.part == "instance" else view
    if view is None:
        raise NotFound("there is no such instance", code="INSTANCE_NOT_FOUND")
    return newest(view, wish.messages, wish.before)


def _listed(home: Home, wish: ListDispatches) -> DispatchPage:
    if not wish.repo and not wish.task_id:
        raise Invalid("a repository, or a task")
    found = [
        one for one in home.dispatches if one.tenant == wish.tenant and wish.repo in ("", one.repo) and wish.task_id in (None, one.task_id)
    ]
    return DispatchPage(dispatches=tuple(found[: wish.limit]), total=len(found))


def _folded(events: Sequence[Event], wish: InstanceWish) -> Instance | None:
    state: Instance | None = None
    for event in _of(events, wish):
        state = instance.evolve(state, event.fact, event.at) if event.part == "instance" else state
    return state


def _submitted(events: Sequence[Event], wish: InstanceWish) -> TaskSubmitted | None:
    return next((event.fact for event in _of(events, wish) if isinstance(event.fact, TaskSubmitted)), None)


def _of(events: Sequence[Event], wish: InstanceWish | GetInstance) -> list[Event]:
    return [event for event in events if (event.tenant, event.task) == (wish.tenant, wish.task_id)]
