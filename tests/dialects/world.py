"""A world small enough for one test: tasks as lists of events, owners that answer at once, and a real server in front."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from aiohttp import ClientSession, ClientTimeout
from pydantic import BaseModel

from tests.dialects import happenings, homes, omnis, owners
from tests.dialects.boxes import Boxes, BoxWish
from tests.dialects.dead_letters import Letters, LetterWish
from tests.dialects.homes import Home, HomeWish
from tests.dialects.hooks import Hooks, HookWish
from tests.dialects.omnis import OmniTerms
from trunkline.auth.claims import Token
from trunkline.auth.keys import NO_KEYS, KeyRing
from trunkline.auth.principal import ANONYMOUS, HOME, Principal
from trunkline.auth.tokens import Secrets, Tokens
from trunkline.contracts.approval import DecideApproval, OpenApproval
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Conflict, DomainError, NotFound, Unavailable, Unsupported
from trunkline.contracts.forge import PullRequestView, ShowPullRequest
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.integrity import Integrity
from trunkline.contracts.message import Accepted, Command, Fact
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.steering import EditMessage, ReorderMessages, SayToAgent, SteerRun, WithdrawMessage
from trunkline.contracts.subjects import NO_TASK
from trunkline.contracts.task import (
    ENDS,
    CancelTask,
    Executor,
    PublishEvent,
    ReportTask,
    SubmitTask,
    Submitted,
    TaskCancelled,
    TaskStatus,
    TaskSubmitted,
)
from trunkline_gateway import app
from trunkline_gateway.adapters.limiter import Unlimited
from trunkline_gateway.apidocs.routes import ApiDocs
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import Dialect
from trunkline_gateway.dialects.github.decode import Customs
from trunkline_gateway.dialects.github.routes import GitHub
from trunkline_gateway.dialects.orchestrator.routes import Means, Orchestrator, Verbs
from trunkline_gateway.dialects.orchestrator.routes_front import About
from trunkline_gateway.dialects.pr_agent.routes import PrAgent
from trunkline_gateway.pages.routes import Pages
from trunkline_gateway.pipeline import Pipeline
from trunkline_gateway.ports import Claim, Kept, Limiter, Passage, Timeline
from trunkline_gateway.settings import LIMITS, Settings
from trunkline_gateway.sse import StreamLimits, Streams
from trunkline_gateway.usecases import Approvals, Events, Steering, Tasks, Traces
from trunkline_gateway.usecases.desk import Desk
from trunkline_gateway.usecases.forge import Forge
from trunkline_gateway.usecases.forge_news import ForgeNews
from trunkline_gateway.usecases.letters import Letters as DeadLetters
from trunkline_gateway.usecases.run_news import RunNews
from trunkline_gateway.usecases.schedules import Schedules
from trunkline_gateway.usecases.shown import Shown
from trunkline_gateway.usecases.tiers import Tiers
from trunkline_gateway.usecases.usage import Usage
from trunkline_gateway.usecases.webhooks import Webhooks
from trunkline_gateway.wiring import serving

EPOCH = "k3v9"
UNLIMITED = Unlimited(frozenset(LIMITS))
BEGAN = datetime(2025, 1, 12, 10, 0, 0, tzinfo=UTC)
SERVICES = ("gateway", "router", "approvals", "sandbox", "relay")
UPGRADE = "https://trunkline.test/more"
SECRET = "a secret of thirty-two bytes or more"


@dataclass
class Roll:
    """What was revoked."""

    tokens: list[Token] = field(default_factory=list)
    subjects: list[tuple[TenantId, str]] = field(default_factory=list)

    @property
    def changes(self) -> int:
        return len(self.tokens) + len(self.subjects)

    def revoked(self, token: Token) -> bool:
        return token.mark in [revoked.mark for revoked in self.tokens]

    async def revoke_token(self, token: Token, until: float) -> None:
        self.tokens.append(token)

    async def revoke_subject(self, tenant: TenantId, subject: str, before: float, until: float) -> None:
        self.subjects.append((tenant, subject))


@dataclass
class Lodged:
    """What callers entrusted, as the gateway's vault would hold it; `open` is whether it has a key."""

    secrets: dict[tuple[str, str], str] = field(default_factory=dict)
    open: bool = True

    async def put(self, tenant: TenantId, handle: str, secret: str) -> None:
        if not self.open:
            raise Unsupported("no key", code="NO_VAULT_KEY")
        self.secrets[tenant, handle] = secret

    async def forget(self, tenant: TenantId, handle: str) -> None:
        self.secrets.pop((tenant, handle), None)


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
    memory: dict[str, tuple[str, Kept | None]] = field(default_factory=dict)
    roll: Roll = field(default_factory=Roll)
    keys: KeyRing = NO_KEYS
    vault: Lodged = field(default_factory=Lodged)
    hooks: Hooks = field(default_factory=Hooks)
    letters: Letters = field(default_factory=Letters)
    boxes: Boxes = field(default_factory=Boxes)
    home: Home = field(default_factory=Home)
    webhook_secrets: tuple[bytes, ...] = (b"the secret that GitHub signs with",)
    omni: OmniTerms = field(default_factory=OmniTerms)
    principal: Principal = ANONYMOUS
    """Who everybody is."""
    forge: Forge = field(default_factory=Forge)
    limiter: Limiter = UNLIMITED
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _made: int = 0

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=len(self.events))

    def new_task_id(self) -> TaskId:
        self._made += 1
        return TaskId(f"0194589f6d0070008000{self._made:012x}")

    async def say(self, task: str, *facts: Fact, tenant: str = HOME, part: str | None = None) -> None:
        """One decision: all of its facts share a sequence."""
        async with self._changed:
            seq = self.events[-1].cursor.seq + 1 if self.events else 1
            at = self.now()
            for index, fact in enumerate(facts):
                cursor = Cursor(self.epoch, seq, index)
                place = part or fact.type.split(".")[0]  # type: ignore[attr-defined]
                self.events.append(Event(cursor, TenantId(tenant), TaskId(task), place, at, fact))
            self._changed.notify_all()

    async def send(self, service: str, id: str, command: Command, *, timeout: float = 10.0) -> Accepted:
        self.sent.append(command)
        if self.refusal:
            raise self.refusal
        if service in self.down:
            raise Unavailable(f"the {service} service does not answer", code="NO_OWNER")
        return await (self._called_home(command) if isinstance(command, HomeWish) else self._carried_out(command))

    async def _carried_out(self, command: Command) -> Accepted:
        match command:
            case SubmitTask() if command.assignment.type:
                return await self._decided(command.task_id, command, owners.submit(self.events, command))
            case ReportTask() | CancelTask() if isinstance(command, ReportTask) or owners.elsewhere(
                self.events, command.tenant, command.task_id
            ):
                return await self._decided(command.task_id, command, owners.move(self.events, command))
            case OpenApproval():
                return await self._decided(command.task_id, command, owners.open_approval(self.events, command))
            case PublishEvent():
                return await self._decided(command.task_id or NO_TASK, command, owners.publish(self.events, command))
            case DecideApproval():
                return await self._approved(command)
            case SayToAgent() | EditMessage() | WithdrawMessage() | ReorderMessages() | SteerRun():
                return await self._decided(command.task_id, command, owners.steer(self.events, command))
            case SubmitTask():
                return await self._submitted(command)
            case CancelTask():
                await self._cancel(command)
            case ShowPullRequest():
                return Accepted(seq=0, body=self._pull_request(command).model_dump(mode="json"))
            case _:
                told = self._told(command)
                return Accepted(seq=0, body=told.model_dump(mode="json") if told else {})
        return Accepted(seq=len(self.events))

    def _told(self, command: Command) -> BaseModel | None:
        if isinstance(command, BoxWish):
            return self.boxes.told(command)
        if isinstance(command, LetterWish):
            return self.letters.told(command)
        return self.hooks.told(command) if isinstance(command, HookWish) else owners.read(self.events, command)

    async def _called_home(self, wish: HomeWish) -> Accepted:
        carried = homes.carry_out(self.home, self.events, wish)
        for part, facts in carried.facts:
            await self.say(wish.task_id or NO_TASK, *facts, tenant=wish.tenant, part=part)
        return Accepted(seq=len(self.events), body=carried.body.model_dump(mode="json") if carried.body else {})

    async def _decided(self, task: str, command: Command, decided: owners.Decided) -> Accepted:
        if decided.facts:
            await self.say(task, *decided.facts, tenant=command.tenant, part=decided.part)
        return Accepted(seq=len(self.events), body=decided.body.model_dump(mode="json") if decided.body else {})

    async def _approved(self, command: DecideApproval) -> Accepted:
        decided = owners.decide(self.events, command)
        answer = await self._decided(command.task_id, command, decided)
        if follows := owners.after_decision(self.events, command, decided.facts):
            await self.say(command.task_id, *follows, tenant=command.tenant)
        return answer

    async def _submitted(self, command: SubmitTask) -> Accepted:
        """A task of ours, as a surface asks for it that knows no types."""
        await self.say(command.task_id, _submitted(command), tenant=command.tenant)
        made = Submitted(
            task_id=command.task_id, pool="dev", executor=Executor.SANDBOX, status=TaskStatus.SUBMITTED, submitted_at=command.at
        )
        return Accepted(seq=len(self.events), body=made.model_dump(mode="json"))

    async def find(self, tenant: TenantId, task: TaskId) -> Timeline | None:
        known = [event for event in owners.of(self.events, tenant, task) if event.cursor.seq >= self.first_kept]
        over = [event.cursor.seq for event in known if isinstance(event.fact, ENDS)]
        return Timeline(tenant, task, over[-1] if over else None) if known else None

    async def submission(self, tenant: TenantId, task: TaskId) -> TaskSubmitted | None:
        made = (event.fact for event in owners.of(self.events, tenant, task) if event.cursor.seq >= self.first_kept)
        return next((fact for fact in made if isinstance(fact, TaskSubmitted)), None)

    async def run(self, tenant: TenantId, task: TaskId) -> tuple[Event, ...]:
        return tuple(event for event in owners.of(self.events, tenant, task) if event.part == "run")

    async def page(self, timeline: Timeline, after: Cursor | None, limit: int) -> tuple[tuple[Event | Gap, ...], bool]:
        start, lost = self._start(after)
        items: list[Event | Gap] = [lost] if lost else []
        items += [event for event in owners.of(self.events, timeline.tenant, timeline.task) if event.cursor > start]
        return tuple(items[:limit]), len(items) > limit

    async def recent(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        start, lost = self._start(after)
        if lost:
            yield lost
        for event in tuple(self.events):
            if (
                (event.tenant, event.task) == (timeline.tenant, timeline.task)
                and event.cursor > start
                and event.cursor.seq >= self.first_kept
            ):
                yield event

    async def follow(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        task, end = timeline.task, timeline.end
        last = self.events[-1].cursor.seq if self.events else 0
        start, lost = self._start(after)
        if lost:
            yield lost
        if end is not None and start.seq > end:
            return
        self.readers += 1
        try:
            place = 0
            while True:
                while place < len(self.events):
                    event, place = self.events[place], place + 1
                    if (
                        (event.tenant, event.task) == (timeline.tenant, task)
                        and event.cursor > start
                        and event.cursor.seq >= self.first_kept
                    ):
                        yield event
                if end is not None and last >= end:
                    return
                async with self._changed:
                    while place >= len(self.events):
                        await self._changed.wait()
        finally:
            self.readers -= 1

    def all_recent(self, tenant: TenantId, after: Cursor) -> AsyncIterator[Passage]:
        return happenings.recent(self.events, tenant, after)

    async def follow_all(self, tenant: TenantId, after: Cursor) -> AsyncIterator[Passage]:
        self.readers += 1
        try:
            async with aclosing(happenings.following(self.events, self._changed, tenant, after)) as passages:
                async for passage in passages:
                    yield passage
        finally:
            self.readers -= 1

    async def newest(self) -> Cursor:
        return Cursor(self.epoch, self.events[-1].cursor.seq if self.events else 0)

    async def before(self, moment: datetime) -> Cursor:
        return Cursor(self.epoch, happenings.last_before(self.events, moment))

    async def claim(self, key: str, digest: str) -> Claim | Kept:
        known, answer = self.memory.get(key, (digest, None))
        if known != digest:
            raise Unsupported("another body", code="IDEMPOTENCY_KEY_REUSED")
        self.memory[key] = (digest, answer)
        return answer or Claim(key, digest, key[:32], 0)

    async def keep(self, claim: Claim, answer: Kept) -> None:
        self.memory[claim.key] = (claim.digest, answer)

    async def reopen(self, claim: Claim) -> None:
        return

    async def forget(self, claim: Claim) -> None:
        del self.memory[claim.key]

    async def services(self) -> Mapping[str, bool]:
        return {name: name not in self.down for name in SERVICES}

    async def bus(self) -> bool:
        return self.connected

    async def integrity(self) -> Integrity | None:
        return Integrity.WHOLE

    def _start(self, after: Cursor | None) -> tuple[Cursor, Gap | None]:
        last = self.events[-1].cursor.seq if self.events else 0
        if after is None or (after.epoch == self.epoch and self.first_kept - 1 <= after.seq <= last):
            return after or Cursor(self.epoch, 0), None
        return Cursor(self.epoch, 0), Gap(after, Cursor(self.epoch, self.first_kept))

    async def _cancel(self, command: CancelTask) -> None:
        if owners.view(self.events, command.tenant, command.task_id).status.terminal:
            raise Conflict("the task is over already", code="TASK_OVER")
        await self.say(command.task_id, TaskCancelled(by=command.by, reason=command.reason), tenant=command.tenant)

    def _pull_request(self, command: ShowPullRequest) -> PullRequestView:
        found = self.pull_requests.get((command.repo, command.number))
        if found is None:
            raise NotFound("no such pull request")
        return found


def _submitted(command: SubmitTask) -> TaskSubmitted:
    deadline = command.at + timedelta(hours=1)
    return TaskSubmitted(assignment=command.assignment, submitted_by=command.submitted_by, deadline_at=deadline, aliases=command.aliases)


@dataclass(frozen=True)
class Served:
    """The gateway on a port of its own."""

    url: str
    streams: Streams


@asynccontextmanager
async def served(world: World, limits: StreamLimits | None = None, body: BodyReader | None = None) -> AsyncIterator[Served]:
    streams = Streams(limits or StreamLimits(), lambda: world.roll.changes)
    dialects = speaking(world, streams, body or BodyReader())
    site = app.build((*dialects, documents()), Pipeline(lambda request, strict: world.principal, world.limiter, world, BodyReader()))
    async with serving(site, Settings.model_validate({"port": 0, "cors_origins": world.omni.cors_origins})) as port:
        try:
            yield Served(f"http://127.0.0.1:{port}", streams)
        finally:
            streams.end()


@cache
def documents() -> ApiDocs:
    """The same in front of every world, and a quarter of a second to make."""
    return ApiDocs(speaking(World(), Streams(StreamLimits()), BodyReader()), "1.2.3")


def speaking(world: World, streams: Streams, body: BodyReader) -> tuple[Dialect, ...]:
    """Every dialect, in front of `world`."""
    tasks = Tasks(world, world, world.now, world.new_task_id, vault=world.vault)
    tokens = Tokens(Secrets(SECRET.encode()), now=lambda: world.now().timestamp())
    desk = Desk(tokens, world.roll, world.now, keys=world.keys)
    verbs = Verbs(
        tasks, Approvals(world, tasks, world.now), Events(world, tasks, world.now), Traces(world, world.now), desk,
        Steering(world, tasks, world.now), Usage(world, world.now), Webhooks(world, tasks, world.now),
        Schedules(world, world.now), DeadLetters(world, world.now),
    )  # fmt: skip
    means = Means(streams, body, world, b"s" * 32, 1 << 20)
    about = About("1.2.3", "http://127.0.0.1:8787")
    news = ForgeNews(tasks, world, world.now, {"acme/*": "acme"}, b"s" * 32)
    github = GitHub(news, RunNews(world, world.now, {"acme/*": "acme"}), body, Customs(), world.webhook_secrets)
    agent = PrAgent(
        tasks, streams, body, 1 << 20, world.forge, webhooks=verbs.webhooks, tiers=Tiers(world.limiter, UPGRADE), seal=b"s" * 32
    )
    return (
        agent,
        Pages(tasks, Shown(tasks, b"s" * 32)),
        github,
        omnis.omni(world.omni, world, tasks, desk, (streams, body)),
        homes.omnara(world.home, world, tasks, (streams, body)),
        Orchestrator(verbs, means, about),
    )


@asynccontextmanager
async def talking(world: World) -> AsyncIterator[ClientSession]:
    """A client of a gateway in front of `world`."""
    async with served(world) as gateway, ClientSession(gateway.url, timeout=ClientTimeout(10)) as session:
        yield session
