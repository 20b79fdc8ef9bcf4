"""Agents that call home, on a real nats-server and a real router: what they and people say to each other, and how their tasks go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalDecided, DecidedBy, Verdict
from trunkline.contracts.calls import Allowance
from trunkline.contracts.dispatch import WITHDRAWN, DispatchGivenUp, SeenBy, Workflow, WorkflowRun, WorkflowRunSeen
from trunkline.contracts.errors import Conflict, Denied, DomainError, Invalid, NotFound
from trunkline.contracts.ids import TaskId, TenantId, message_alias, message_id
from trunkline.contracts.instance import (
    AskInput,
    GetInstance,
    InstanceAnswer,
    InstanceMoved,
    InstanceOpened,
    InstanceStatus,
    InstanceTold,
    MoveInstance,
    OpenInstance,
    PendingAnswer,
    ReadInstance,
    SaidAnswer,
    SayAsInstance,
    SettleInput,
    TellInstance,
    ToldAnswer,
    instance_subject,
    question_id,
)
from trunkline.contracts.instance_views import InstanceView
from trunkline.contracts.message import Command, Fact
from trunkline.contracts.record import Record
from trunkline.contracts.task import (
    Assignment,
    CancelTask,
    Executor,
    SubmitTask,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    Visibility,
)
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_router.adapters.timers import BusTimers
from trunkline_router.handlers.instance_clock import InstanceClock, Limits
from trunkline_router.model.instance import Instance, evolve
from trunkline_router.model.instance_cues import InstanceCue
from trunkline_router.model.instance_life import decide
from trunkline_router.ports import DueTask, DueTasks
from trunkline_router.settings import Settings
from trunkline_router.wiring import running

pytestmark = pytest.mark.flow


class Home:
    """One instance as its agent and the people around it use it."""

    def __init__(self, bus: Bus, task: str | None = None) -> None:
        self.bus = bus
        self.task = task or uuid4().hex

    async def send(self, wish: Command) -> dict[str, Any]:
        return (await self.bus.commands.send("router", self.task, wish)).body

    def wish(self, kind: type[Command], **fields: Any) -> Command:
        return kind.model_validate({"tenant": "acme", "at": now(), "task_id": self.task, **fields})

    async def open(self, by: str = "ann", **fields: Any) -> InstanceAnswer:
        aliases = (message_alias(self.task),)
        wish = self.wish(OpenInstance, by=by, aliases=aliases, **{"agent_type": "claude code", **fields})
        return InstanceAnswer.model_validate(await self.send(wish))

    async def say(self, text: str, by: str = "ann", **fields: Any) -> SaidAnswer:
        wish = self.wish(SayAsInstance, text=text, by=by, message_id=message_id(self.task, uuid4().hex), **fields)
        return SaidAnswer.model_validate(await self.send(wish))

    async def tell(self, text: str, by: str = "bob", **fields: Any) -> ToldAnswer:
        wish = self.wish(TellInstance, text=text, by=by, message_id=message_id(self.task, uuid4().hex), **fields)
        return ToldAnswer.model_validate(await self.send(wish))

    async def ask(self, message: str, by: str = "ann", **fields: Any) -> PendingAnswer:
        return PendingAnswer.model_validate(await self.send(self.wish(AskInput, message_id=message, by=by, **fields)))

    async def read(self, after: str | None, by: str = "ann", **fields: Any) -> PendingAnswer:
        return PendingAnswer.model_validate(await self.send(self.wish(ReadInstance, after=after, by=by, **fields)))

    async def move(self, status: InstanceStatus, by: str = "ann") -> InstanceAnswer:
        return InstanceAnswer.model_validate(await self.send(self.wish(MoveInstance, status=status, by=by)))

    async def view(self, **fields: Any) -> InstanceView:
        return InstanceView.model_validate(await self.send(self.wish(GetInstance, **fields)))

    async def submit(self, **of: Any) -> None:
        assignment = Assignment(repo="acme/shop", prompt="mend it", **of)
        await self.send(SubmitTask(tenant="acme", at=now(), task_id=self.task, assignment=assignment, submitted_by="ann"))

    async def dispatched(self) -> None:
        await self.submit(executor=Executor.GITHUB_WORKFLOW, pool="github", surface="omnara", workflow=Workflow())

    async def cancel(self) -> None:
        await self.send(self.wish(CancelTask, by="ann", reason="enough"))

    async def put(self, part: str, fact: Fact) -> None:
        """As another service would say it."""
        subject = self.subject(part)
        await self.bus.log.append(subject, Record(at=now(), facts=(fact,)), expect=(await self.bus.log.load(subject)).seq, id=uuid4().hex)

    async def decide(self, message: str, verdict: Verdict, by: DecidedBy = DecidedBy.HUMAN, answer: str | None = None) -> None:
        name = question_id(message)
        allowance = Allowance(answer=answer) if answer else None
        fact = ApprovalDecided(approval_id=name, verdict=verdict, decided_by=by, by="bob", reason="not now", allowance=allowance)
        await self.put(subjects.approval_part(name), fact)

    def subject(self, part: str) -> str:
        return subjects.event(TenantId("acme"), TaskId(self.task), part)

    async def facts(self, part: str = subjects.INSTANCE) -> list[Fact]:
        return [fact for stored in (await self.bus.log.load(self.subject(part))).records for fact in stored.record.facts]

    async def until(self, *kinds: type[Fact], part: str = subjects.TASK) -> Any:
        """The first fact of these kinds, which may come a moment later."""
        async with asyncio.timeout(10):
            async for stored in self.bus.log.follow(0):
                facts = stored.record.facts if stored.subject == self.subject(part) else ()
                for fact in facts:
                    if isinstance(fact, kinds):
                        return fact
        raise AssertionError("a log does not end")

    async def moved_to(self, status: InstanceStatus) -> InstanceMoved:
        async with asyncio.timeout(10):
            async for stored in self.bus.log.follow(0):
                facts = stored.record.facts if stored.subject == self.subject(subjects.INSTANCE) else ()
                for fact in facts:
                    if isinstance(fact, InstanceMoved) and fact.status is status:
                        return fact
        raise AssertionError("a log does not end")


@asynccontextmanager
async def at_home(server: NatsServer, **settings: Any) -> AsyncIterator[Home]:
    of_router = Settings.model_validate({"nats_url": server.url, **settings})
    async with running(of_router), connect(BusSettings.model_validate({"nats_url": server.url}), "test") as bus:
        yield Home(bus)


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


@pytest.fixture
async def home(server: NatsServer) -> AsyncIterator[Home]:
    async with at_home(server) as one:
        yield one


@pytest.fixture
async def watched(server: NatsServer) -> AsyncIterator[Home]:
    """Where silence of two seconds is long."""
    async with at_home(server, instance_stale_s=1.2, instance_lost_s=2.0) as one:
        yield one


@pytest.fixture
async def patient(server: NatsServer) -> AsyncIterator[Home]:
    """As `watched`, and there is time to come back before anybody is given up."""
    async with at_home(server, instance_stale_s=1.2, instance_lost_s=4.0) as one:
        yield one


async def test_an_agent_registers_talks_asks_is_answered_and_ends(home: Home) -> None:
    opened = await home.open(name="the shop", transport="ws")
    assert (opened.status, opened.name, opened.transport) == (InstanceStatus.ACTIVE, "the shop", "ws")
    assert await home.until(TaskStarted)

    await home.tell("use main")
    question = await home.say("which name?", asks=True, git_diff="diff --git a b")
    assert [each.text for each in question.queued] == ["use main"]
    assert question.status is InstanceStatus.AWAITING_INPUT
    assert (await home.read(question.message_id)).messages == ()
    await home.tell("shop2")
    answer = await home.read(question.message_id)
    assert [(each.text, each.by, each.agent) for each in answer.messages] == [("shop2", "bob", False)]
    assert (await home.read(question.message_id)).stale

    await home.move(InstanceStatus.COMPLETED)
    assert await home.until(TaskSucceeded)
    view = await home.view()
    assert [each.text for each in view.messages] == ["use main", "which name?", "shop2"]
    assert (view.status, view.diff, view.last_read) == (InstanceStatus.COMPLETED, "diff --git a b", answer.messages[-1].message_id)
    assert view.ended_at is not None


async def refused(asking: Any) -> DomainError:
    with pytest.raises(DomainError) as refusal:
        await asking
    return refusal.value


async def test_an_agent_that_nobody_knows_is_made_a_task_by_its_first_message(home: Home) -> None:
    unknown = await refused(home.say("hello"))
    assert (type(unknown), unknown.code) == (Invalid, "INSTANCE_UNKNOWN")
    assert (type(lost := await refused(home.view())), lost.code) == (NotFound, "INSTANCE_NOT_FOUND")
    assert await home.facts(subjects.TASK) == []

    said = await home.say("hello", agent_type="codex", aliases=(message_alias(home.task),))
    submitted, assigned = (await home.facts(subjects.TASK))[:2]
    assert isinstance(submitted, TaskSubmitted) and isinstance(assigned, TaskAssigned)
    asked = submitted.assignment
    assert (asked.executor, asked.pool, asked.surface, asked.prompt) == (Executor.CALLBACK, "omnara", "omnara", "codex")
    assert (submitted.submitted_by, submitted.aliases) == ("ann", (message_alias(home.task),))
    assert asked.visibility is Visibility.PRIVATE
    assert await home.until(TaskStarted)
    assert (await home.view()).last_read == said.message_id


async def test_what_is_somebody_elses_is_refused(home: Home) -> None:
    await home.open()
    for by in ("eve", instance_subject(uuid4().hex)):
        for asking in (
            home.open(by=by),
            home.say("x", by=by, agent_type="a"),
            home.read(None, by=by),
            home.move(InstanceStatus.FAILED, by=by),
        ):
            refusal = await refused(asking)
            assert (type(refusal), refusal.code) == (Denied, "INSTANCE_NOT_YOURS")
    again = await refused(home.open())
    assert (type(again), again.code) == (Conflict, "INSTANCE_EXISTS")

    other = Home(home.bus)
    await other.submit(executor=Executor.BUS, type="Deploy")
    assert (await refused(other.say("x", agent_type="a"))).code == "INSTANCE_NOT_YOURS"
    assert (await refused(other.tell("x"))).code == "INSTANCE_NOT_FOUND"
    no_key = Home(home.bus)
    assert (await refused(no_key.say("x", by=instance_subject(no_key.task), agent_type="a"))).code == "INSTANCE_NOT_YOURS"


async def test_a_command_that_is_heard_twice_is_answered_the_same_and_done_once(home: Home) -> None:
    opening = home.wish(OpenInstance, by="ann", agent_type="claude")
    assert await home.send(opening) == await home.send(opening)
    step = home.wish(SayAsInstance, by="ann", text="step", message_id=message_id(home.task, "1"))
    await home.send(step)
    await home.tell("go on")
    reading = home.wish(ReadInstance, by="ann", after=message_id(home.task, "1"))
    assert await home.send(reading) == await home.send(reading)
    await home.say("done?")
    assert (await home.send(step))["message_id"] == message_id(home.task, "1")
    newest = (await home.view()).messages[-1].message_id
    asking = home.wish(AskInput, by="ann", message_id=newest)
    assert await home.send(asking) == await home.send(asking)
    assert (await refused(home.ask(newest))).code == "ALREADY_ASKED"
    assert [each.text for each in (await home.view()).messages] == ["step", "go on", "done?"]


async def test_of_the_same_words_again_another_router_knows_too(server: NatsServer) -> None:
    async with connect(BusSettings.model_validate({"nats_url": server.url}), "test") as bus:
        home, answers = Home(bus), []
        for _ in range(2):
            async with running(Settings.model_validate({"nats_url": server.url})):
                answers.append(await home.say("which?", asks=True, agent_type="codex"))
        assert answers[0] == answers[1]
        assert len(await home.facts()) == 3


async def test_what_was_decided_elsewhere_is_there_at_the_next_poll(home: Home) -> None:
    await home.open()
    question = await home.say("which name?", asks=True)
    await home.decide(question.message_id, Verdict.APPROVED, answer="shop2")
    answer = await home.read(question.message_id)
    assert [(each.text, each.by) for each in answer.messages] == [("shop2", "bob")]

    question = await home.say("and now?", asks=True)
    await home.decide(question.message_id, Verdict.REJECTED)
    settled = await home.send(home.wish(SettleInput, approval_id=question_id(question.message_id)))
    assert settled["status"] == "ACTIVE"
    await home.send(home.wish(SettleInput, approval_id=question_id(question.message_id)))
    told = [fact for fact in await home.facts() if isinstance(fact, InstanceTold)]
    assert [(each.text, each.approval_id) for each in told][1:] == [("not now", question_id(question.message_id))]
    assert [each.text for each in (await home.say("well then")).queued] == ["not now"]

    question = await home.say("still there?", asks=True)
    await home.decide(question.message_id, Verdict.REJECTED, DecidedBy.TIMEOUT)
    assert (await home.read(question.message_id)).messages == ()
    assert (await home.view()).status is InstanceStatus.AWAITING_INPUT


async def test_of_an_approval_and_a_message_that_answer_at_once_both_are_heard(home: Home) -> None:
    await home.open()
    question = await home.say("which name?", asks=True)
    await home.tell("shop2", by="ann")
    await home.decide(question.message_id, Verdict.APPROVED, answer="shop3")
    await home.send(home.wish(SettleInput, approval_id=question_id(question.message_id)))
    assert [(each.text, each.by) for each in (await home.read(question.message_id)).messages] == [("shop2", "ann"), ("shop3", "bob")]

    question = await home.say("and now?", asks=True)
    await home.tell("go on")
    await home.decide(question.message_id, Verdict.APPROVED, answer="go on")  # as the approvals service repeats the message
    assert [each.text for each in (await home.say("well then")).queued] == ["go on"]
    assert (await home.say("done")).queued == ()


async def test_a_message_that_was_said_can_become_a_question_later(home: Home) -> None:
    await home.open()
    old, new = await home.say("old"), await home.say("new")
    assert (await home.ask(new.message_id)).messages == ()
    assert (await home.view()).status is InstanceStatus.AWAITING_INPUT
    await home.tell("yes")
    assert [each.text for each in (await home.read(new.message_id)).messages] == ["yes"]
    assert (await home.ask(old.message_id)).stale
    asked = [fact for fact in await home.facts() if fact.model_dump()["type"] == "instance.asked"]
    assert [fact.model_dump()["text"] for fact in asked] == ["new", "old"]
    assert (await refused(home.ask(message_id(home.task, "none")))).code == "INSTANCE_MESSAGE_NOT_FOUND"


async def test_a_dispatched_agent_is_expected_then_heard_and_its_run_ends_the_task(home: Home) -> None:
    await home.dispatched()
    opened = await home.until(InstanceOpened, part=subjects.INSTANCE)
    assert (opened.status, opened.owner, opened.agent_type) == (InstanceStatus.DISCONNECTED, "ann", "general")
    await home.tell("take care")
    assert (await home.view()).status is InstanceStatus.DISCONNECTED

    key = instance_subject(home.task)
    assert (await refused(home.open(by=key))).code == "INSTANCE_EXISTS"
    await home.until(TaskStarted)
    assert (await home.view()).status is InstanceStatus.ACTIVE
    assert [each.text for each in (await home.say("here I am", by=key)).queued] == ["take care"]

    run = WorkflowRun(run_id=7, url="http://forge/7", status="completed", conclusion="success")
    await home.put(subjects.DISPATCH, WorkflowRunSeen(attempt=1, run=run, how=SeenBy.LISTING))
    await home.until(TaskSucceeded)
    await home.moved_to(InstanceStatus.COMPLETED)
    kept = await home.say("one more", by=key, asks=True)
    assert kept.status is InstanceStatus.COMPLETED
    assert (await refused(home.tell("hello?"))).code == "INSTANCE_OVER"


async def test_a_run_that_fails_or_never_comes_fails_the_task_and_a_cancelled_task_kills_its_instance(home: Home) -> None:
    failing, given_up, stopped = (Home(home.bus) for _ in range(3))
    for each in (failing, given_up, stopped):
        await each.dispatched()
        await each.until(InstanceOpened, part=subjects.INSTANCE)
    run = WorkflowRun(run_id=8, url="http://forge/8", status="completed", conclusion="timed_out")
    await failing.put(subjects.DISPATCH, WorkflowRunSeen(attempt=1, run=run, how=SeenBy.WEBHOOK))
    failed = await failing.until(TaskFailed)
    assert (failed.code, "timed_out: http://forge/8" in failed.error) == ("WORKFLOW_FAILED", True)
    assert (await failing.moved_to(InstanceStatus.FAILED)).why == failed.error

    await given_up.put(subjects.DISPATCH, DispatchGivenUp(attempt=1, code="RUN_NOT_STARTED", error="no run came"))
    assert (await given_up.until(TaskFailed)).code == "RUN_NOT_STARTED"

    await stopped.cancel()
    await stopped.put(subjects.DISPATCH, DispatchGivenUp(attempt=1, code=WITHDRAWN, error=""))
    assert (await stopped.until(TaskCancelled)).by == "ann"
    await stopped.moved_to(InstanceStatus.KILLED)


async def test_the_agents_own_word_ends_its_task(home: Home) -> None:
    failed, killed = Home(home.bus), Home(home.bus)
    for each, status in ((failed, InstanceStatus.FAILED), (killed, InstanceStatus.KILLED)):
        await each.open()
        await each.move(status)
        await each.move(status)
        assert (await refused(each.move(InstanceStatus.ACTIVE))).code == "INSTANCE_OVER"
    assert (await failed.until(TaskFailed)).code == "AGENT_FAILED"
    assert (await killed.until(TaskCancelled)).by == "ann"


async def test_an_agent_whose_heartbeats_cease_is_stale_and_then_lost(watched: Home) -> None:
    moment = now()
    await watched.bus.beats.put(TenantId("acme"), TaskId(watched.task), moment - timedelta(seconds=1), heartbeat=True)
    await watched.bus.client.flush()
    await watched.send(watched.wish(OpenInstance, by="ann", agent_type="claude", at=moment - timedelta(seconds=10)))
    assert (await watched.moved_to(InstanceStatus.STALE)).was is InstanceStatus.ACTIVE
    assert (await watched.until(TaskFailed)).code == "INSTANCE_LOST"


async def test_heartbeats_that_come_again_bring_it_back_and_who_never_sent_one_misses_none(patient: Home) -> None:
    moment, watched, quiet = now(), patient, Home(patient.bus)
    await quiet.send(quiet.wish(OpenInstance, by="ann", agent_type="script", at=moment - timedelta(seconds=10)))
    await watched.bus.beats.put(TenantId("acme"), TaskId(watched.task), moment - timedelta(seconds=1), heartbeat=True)
    await watched.bus.beats.put(TenantId("acme"), TaskId(quiet.task), moment - timedelta(seconds=1))  # it polled
    await watched.bus.client.flush()
    await watched.send(watched.wish(OpenInstance, by="ann", agent_type="claude", at=moment - timedelta(seconds=10)))
    await watched.moved_to(InstanceStatus.STALE)

    async def beating() -> None:
        while True:
            await watched.bus.beats.put(TenantId("acme"), TaskId(watched.task), now(), heartbeat=True)
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as group:
        heart = group.create_task(beating())
        assert (await watched.moved_to(InstanceStatus.ACTIVE)).was is InstanceStatus.STALE
        heart.cancel()
    assert (await quiet.view()).status is InstanceStatus.ACTIVE


async def test_alarms_of_many_instances_lie_in_few_messages(home: Home) -> None:
    bus, many = home.bus, [Home(home.bus) for _ in range(30)]
    await asyncio.gather(*(each.open() for each in many))
    actor: Actor[Instance, InstanceCue] = Actor(bus.log, decide, evolve)
    clock = InstanceClock(actor, bus.beats, BusTimers(bus.timers, now), now, Limits(timedelta(hours=2), timedelta(hours=3)))
    rings = DueTasks(tasks=tuple(DueTask(tenant="acme", task=each.task) for each in (*many, *many)))

    async def alarms() -> int:
        found = await bus.client.jetstream().stream_info("TIMERS", subjects_filter="timer.instance.*")
        return len(found.state.subjects or {})

    before = await alarms()
    await clock.due(rings)
    after = await alarms()
    assert after >= 1
    assert after - before <= 10  # the router sets its own meanwhile, perhaps for the same moment
