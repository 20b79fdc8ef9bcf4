"""A world small enough for one test: tasks as lists of events, owners that answer at once, and a real server in front."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import ClientSession, ClientTimeout

from trunkline.auth.principal import ANONYMOUS, Principal
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Conflict, DomainError, NotFound, Unavailable
from trunkline.contracts.forge import PullRequestView, ShowPullRequest
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted, Command, Fact
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.task import ENDS, CancelTask, SubmitTask, TaskCancelled, TaskSubmitted
from trunkline.contracts.views import GetTask, TaskView, fold
from trunkline_gateway import app
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialects.pr_agent.routes import PrAgent
from trunkline_gateway.front import Front
from trunkline_gateway.pages.routes import Pages
from trunkline_gateway.ports import Timeline
from trunkline_gateway.settings import Settings
from trunkline_gateway.sse import StreamLimits, Streams
from trunkline_gateway.usecases import UseCases
from trunkline_gateway.wiring import serving

EPOCH = "k3v9"
BEGAN = datetime(2025, 1, 12, 10, 0, 0, tzinfo=UTC)
SERVICES = ("gateway", "router", "approvals", "sandbox", "relay")


@dataclass
class World:
    """Owners, log and readiness in one; one second passes with every fact."""

    events: list[Event] = field(default_factory=list)
    sent: list[Command] = field(default_factory=list)
    pull_requests: dict[tuple[str, int], PullRequestView] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    connected: bool = True
    refusal: DomainError | Exception | None = None
    first_kept: int = 1
    readers: int = 0
    epoch: str = EPOCH
    principal: Principal = ANONYMOUS
    """Who everybody is."""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _made: int = 0

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=len(self.events))

    def new_task_id(self) -> TaskId:
        self._made += 1
        return TaskId(f"0194589f6d0070008000{self._made:012x}")

    async def say(self, task: str, *facts: Fact) -> None:
        """One decision: all of its facts share a sequence."""
        async with self._changed:
            seq = self.events[-1].cursor.seq + 1 if self.events else 1
            at = self.now()
            for index, fact in enumerate(facts):
                cursor = Cursor(self.epoch, seq, index)
                self.events.append(Event(cursor, TenantId("public"), TaskId(task), fact.type.split(".")[0], at, fact))  # type: ignore[attr-defined]
            self._changed.notify_all()

    async def send(self, service: str, id: str, command: Command, *, timeout: float = 10.0) -> Accepted:
        self.sent.append(command)
        if self.refusal:
            raise self.refusal
        if service in self.down:
            raise Unavailable(f"the {service} service does not answer", code="NO_OWNER")
        match command:
            case SubmitTask():
                await self.say(command.task_id, _submitted(command))
            case GetTask():
                return Accepted(seq=0, body=self._view(command.task).model_dump(mode="json"))
            case CancelTask():
                await self._cancel(command)
            case ShowPullRequest():
                return Accepted(seq=0, body=self._pull_request(command).model_dump(mode="json"))
        return Accepted(seq=len(self.events))

    async def find(self, tenant: TenantId, task: TaskId) -> Timeline | None:
        known = [event for event in self.events if event.task == task and event.cursor.seq >= self.first_kept]
        over = [event.cursor.seq for event in known if isinstance(event.fact, ENDS)]
        return Timeline(tenant, task, over[-1] if over else None) if known else None

    async def follow(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        task, end = timeline.task, timeline.end
        start = after or Cursor(self.epoch, 0)
        last = self.events[-1].cursor.seq if self.events else 0
        if start.epoch != self.epoch or (after and not self.first_kept - 1 <= start.seq <= last):
            yield Gap(start, Cursor(self.epoch, self.first_kept))
            start = Cursor(self.epoch, 0)
        if end is not None and start.seq > end:
            return
        self.readers += 1
        try:
            place = 0
            while True:
                while place < len(self.events):
                    event, place = self.events[place], place + 1
                    if event.task == task and event.cursor > start and event.cursor.seq >= self.first_kept:
                        yield event
                if end is not None and last >= end:
                    return
                async with self._changed:
                    while place >= len(self.events):
                        await self._changed.wait()
        finally:
            self.readers -= 1

    async def services(self) -> Mapping[str, bool]:
        return {name: name not in self.down for name in SERVICES}

    def bus(self) -> bool:
        return self.connected

    def _view(self, task: str) -> TaskView:
        view: TaskView | None = None
        for event in self.events:
            if event.task == task:
                view = fold(view, event)
        if view is None:
            raise NotFound("no such task")
        return view

    async def _cancel(self, command: CancelTask) -> None:
        if self._view(command.task_id).status.terminal:
            raise Conflict("the task is over already", code="TASK_OVER")
        await self.say(command.task_id, TaskCancelled(by=command.by, reason=command.reason))

    def _pull_request(self, command: ShowPullRequest) -> PullRequestView:
        found = self.pull_requests.get((command.repo, command.number))
        if found is None:
            raise NotFound("no such pull request")
        return found


def _submitted(command: SubmitTask) -> TaskSubmitted:
    return TaskSubmitted(assignment=command.assignment, submitted_by=command.submitted_by, deadline_at=command.at + timedelta(hours=1))


@dataclass(frozen=True)
class Served:
    """The gateway on a port of its own."""

    url: str
    streams: Streams


@asynccontextmanager
async def served(world: World, limits: StreamLimits | None = None, body: BodyReader | None = None) -> AsyncIterator[Served]:
    usecases = UseCases(world, world, world.now, world.new_task_id)
    streams = Streams(limits or StreamLimits())
    dialects = (
        PrAgent(usecases, streams, body or BodyReader(), 1 << 20),
        Pages(usecases),
        Front(world, "1.2.3", "http://127.0.0.1:8787"),
    )
    site = app.build(dialects, lambda request: world.principal)
    async with serving(site, Settings.model_validate({"port": 0})) as port:
        try:
            yield Served(f"http://127.0.0.1:{port}", streams)
        finally:
            streams.end()


@asynccontextmanager
async def talking(world: World) -> AsyncIterator[ClientSession]:
    """A client of a gateway in front of `world`."""
    async with served(world) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(10)) as session:
        yield session
