"""The router on a real nats-server: routing, holding, reports, promises, families and published events, as its clients see them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.bus.streams import EVENTS
from trunkline.contracts import subjects
from trunkline.contracts.approval import RELEASE, ApprovalDecided, DecideApproval, DecidedBy, OpenApproval, Verdict
from trunkline.contracts.errors import Conflict, DomainError, Invalid, NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted, Fact
from trunkline.contracts.record import Record
from trunkline.contracts.task import (
    Assignment,
    CancelCause,
    CancelTask,
    EventPublished,
    Executor,
    Moved,
    PublishEvent,
    Reported,
    ReportTask,
    SubmitTask,
    Submitted,
    TaskAssigned,
    TaskCancelled,
    TaskChildAdded,
    TaskFailed,
    TaskHeld,
    TaskHoldDropped,
    TaskReleased,
    TaskSlaBreached,
    TaskStarted,
    TaskStatus,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_approvals.settings import Settings as ApprovalsSettings
from trunkline_approvals.wiring import running as approvals_running
from trunkline_router.adapters.timers import BusTimers
from trunkline_router.ports import DueTask, DueTasks
from trunkline_router.settings import Settings
from trunkline_router.wiring import running

pytestmark = pytest.mark.flow

OURS = {"routes": {"bugfix": {"pool": "dev", "executor": "sandbox"}}}


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


class Client:
    """What an edge asks of the router, and what the log then holds."""

    def __init__(self, bus: Bus, tenant: str = "acme") -> None:
        self.bus = bus
        self.tenant = tenant

    async def submit(self, task: str, type: str = "bugfix", **fields: Any) -> Submitted:
        assignment = Assignment.model_validate({"type": type, "max_retries": 0, **fields})
        wish = SubmitTask(tenant=self.tenant, at=now(), task_id=task, assignment=assignment, submitted_by="ann", trace_id="trace-1")
        return Submitted.model_validate((await self.bus.commands.send("router", task, wish)).body)

    async def report(self, task: str, reported: Reported, error: str = "") -> TaskStatus:
        wish = ReportTask(tenant=self.tenant, at=now(), task_id=task, reported=reported, by="agent-7", error=error)
        return Moved.model_validate((await self.bus.commands.send("router", task, wish)).body).status

    async def cancel(self, task: str) -> TaskStatus:
        wish = CancelTask(tenant=self.tenant, at=now(), task_id=task, by="ann", reason="no longer wanted")
        return Moved.model_validate((await self.bus.commands.send("router", task, wish)).body).status

    async def publish(self, id: str, task: str | None = None) -> Accepted:
        event = EventPublished(event_type="deployment.completed", by="agent-7", payload={"id": id})
        wish = PublishEvent(tenant=self.tenant, at=now(), event_id=id, task_id=task, event=event)
        return await self.bus.commands.send("router", task or "-", wish)

    async def decide(self, task: str, verdict: Verdict, digest: str, by: DecidedBy = DecidedBy.HUMAN) -> None:
        """As the approvals service would say it."""
        fact = ApprovalDecided(approval_id=RELEASE, verdict=verdict, decided_by=by, by="bob", digest=digest, reason="looked at it")
        subject = self.subject(task, subjects.approval_part(RELEASE))
        await self.bus.log.append(subject, Record(at=now(), facts=(fact,)), expect=0, id=f"decided-{task}")

    def subject(self, task: str, part: str = subjects.TASK) -> str:
        return subjects.event(TenantId(self.tenant), TaskId(task), part)

    async def facts(self, task: str, part: str = subjects.TASK) -> list[Fact]:
        loaded = await self.bus.log.load(self.subject(task, part))
        return [fact for stored in loaded.records for fact in stored.record.facts]

    async def until(self, task: str, kind: type[Fact], count: int = 1) -> list[Fact]:
        """The facts of the task once so many of a kind are among them."""
        async with asyncio.timeout(10):
            async for _ in self.bus.log.follow(0):
                found = await self.facts(task)
                if sum(isinstance(fact, kind) for fact in found) >= count:
                    return found
        raise AssertionError("a log does not end")

    async def stored(self, stream: str, subject: str) -> int:
        """Under how many subjects of a stream something lies."""
        return len((await self.bus.client.jetstream().stream_info(stream, subjects_filter=subject)).state.subjects or {})


@asynccontextmanager
async def routed(server: NatsServer, **settings: Any) -> AsyncIterator[Client]:
    async with running(Settings.model_validate({"nats_url": server.url, **settings})), talking(server) as client:
        yield client


@asynccontextmanager
async def talking(server: NatsServer, tenant: str = "acme") -> AsyncIterator[Client]:
    async with connect(BusSettings.model_validate({"nats_url": server.url}), "test") as bus:
        yield Client(bus, tenant)


async def refused(asking: Any) -> DomainError:
    with pytest.raises(DomainError) as refusal:
        await asking
    return refusal.value


async def test_a_task_goes_to_its_pool_and_a_repeat_is_answered_the_same_and_writes_nothing(server: NatsServer) -> None:
    async with routed(server) as client:
        first = await client.submit("t1", "Deploy", sla_s=3600)
        before = await client.facts("t1")

        assert await client.submit("t1", "Deploy", sla_s=3600) == first

        assert (first.pool, first.executor, first.status, first.hold) == ("ops_agent", Executor.BUS, TaskStatus.ASSIGNED, None)
        assert first.sla_at is not None
        assert ((first.sla_at - first.submitted_at).total_seconds(), first.trace_id) == (3600, "trace-1")
        assert await client.facts("t1") == before
        assert [type(fact) for fact in before] == [TaskSubmitted, TaskAssigned]


async def test_what_the_router_does_not_know_is_refused_and_nothing_is_stored(server: NatsServer) -> None:
    async with routed(server, **OURS) as client:
        unknown = await refused(client.submit("t1", "cooking"))
        assert (type(unknown), unknown.code) == (Invalid, "UNKNOWN_TYPE")
        assert (await refused(client.submit("t1", "bugfix"))).code == "REPO_NEEDED"
        assert (await refused(client.submit("t1", "incident", sla_s=1e12))).code == "DEADLINE_TOO_FAR"
        assert await client.bus.log.last_seq() == 0


async def test_an_agent_elsewhere_moves_its_task_and_is_refused_what_is_not_open_to_it(server: NatsServer) -> None:
    async with routed(server) as client:
        await client.submit("t1")
        assert await client.report("t1", Reported.STARTED) is TaskStatus.IN_PROGRESS
        assert await client.report("t1", Reported.STARTED) is TaskStatus.IN_PROGRESS
        assert await client.report("t1", Reported.SUCCEEDED) is TaskStatus.SUCCEEDED
        illegal = await refused(client.report("t1", Reported.STARTED))
        assert (type(illegal), illegal.code) == (Conflict, "ILLEGAL_MOVE")
        assert [type(fact) for fact in await client.facts("t1")] == [TaskSubmitted, TaskAssigned, TaskStarted, TaskSucceeded]
        assert await client.stored("WORK", "work.dev_agent.>") == 1, (
            "it waits for agents on NATS too, who find it done; else it goes in time"
        )


async def test_a_failed_report_is_tried_again_after_its_pause(server: NatsServer) -> None:
    async with routed(server) as client:
        await client.submit("t1", max_retries=1)
        assert await client.report("t1", Reported.FAILED, "it broke") is TaskStatus.SUBMITTED
        await client.until("t1", TaskAssigned, count=2)
        assert await client.report("t1", Reported.FAILED, "again") is TaskStatus.FAILED
        last = (await client.facts("t1"))[-1]
        assert isinstance(last, TaskFailed)
        assert last.error == "again"


async def test_a_held_task_of_ours_comes_to_no_hands_before_it_is_approved_and_its_time_begins_then(server: NatsServer) -> None:
    taken: asyncio.Queue[WorkItem] = asyncio.Queue()

    async def carry(item: WorkItem, _: int) -> None:
        await taken.put(item)

    async with routed(server, **OURS) as client, asyncio.TaskGroup() as group:
        taking = group.create_task(client.bus.work.take("dev", 1, carry))
        held = await client.submit("t1", repo="acme/calc", priority="P0")
        await client.submit("t2", repo="acme/calc", priority="P3")
        async with asyncio.timeout(10):
            assert (await taken.get()).task == "t2"  # stored later: by now the first would have been taken
        assert held.hold
        async with asyncio.timeout(10):
            while await client.stored("TIMERS", "timer.deadline.*") != 1:  # noqa: ASYNC110  # of the task that is not held
                await asyncio.sleep(0.01)

        await client.decide("t1", Verdict.APPROVED, held.hold.digest)
        async with asyncio.timeout(10):
            item = await taken.get()

        assert (item.task, item.attempt, item.priority) == ("t1", 1, "P0")
        released = (await client.facts("t1"))[-1]
        assert isinstance(released, TaskReleased)
        assert (released.deadline_at - now()).total_seconds() == pytest.approx(3600, abs=30)
        taking.cancel()


async def test_a_task_is_released_through_the_approvals_service(server: NatsServer) -> None:
    async with approvals_running(ApprovalsSettings.model_validate({"nats_url": server.url})), routed(server) as client:
        held = await client.submit("t1", priority="P1")
        assert held.hold
        await decide(client, "t1", Verdict.APPROVED)
        facts = await client.until("t1", TaskReleased)
        assert [type(fact) for fact in facts] == [TaskSubmitted, TaskAssigned, TaskHeld, TaskReleased]
        assert await client.report("t1", Reported.STARTED) is TaskStatus.IN_PROGRESS

        await client.submit("t2", priority="P1")
        await decide(client, "t2", Verdict.REJECTED)
        last = (await client.until("t2", TaskCancelled))[-1]
        assert isinstance(last, TaskCancelled)
        assert (last.cause, last.by, last.reason) == (CancelCause.APPROVAL_REJECTED, "bob", "looked at it")


async def decide(client: Client, task: str, verdict: Verdict) -> None:
    """As a person does by the gateway: make sure that it is asked, then decide."""
    await client.bus.commands.send("approvals", task, OpenApproval(tenant=client.tenant, at=now(), task_id=task))
    word = DecideApproval(
        tenant=client.tenant, at=now(), approval_id=RELEASE, task_id=task, decision_id=f"d-{task}", verdict=verdict, by="bob",
        role="approver", reason="looked at it",
    )  # fmt: skip
    await client.bus.commands.send("approvals", task, word)


async def test_a_decision_that_came_while_the_router_was_away_is_found_later(server: NatsServer) -> None:
    async with routed(server) as client:
        held = await client.submit("t1", priority="P0")
        assert held.hold
        assert (await refused(client.report("t1", Reported.STARTED))).code == "HELD"
    async with talking(server) as client:
        await client.decide("t1", Verdict.APPROVED, held.hold.digest)
    async with routed(server) as client:
        await client.until("t1", TaskReleased)
        assert await client.report("t1", Reported.SUCCEEDED) is TaskStatus.SUCCEEDED


async def test_an_approval_of_something_else_releases_nothing_and_ends_the_task_which_would_wait_for_ever(server: NatsServer) -> None:
    async with routed(server) as client:
        await client.submit("t1", priority="P0")
        await client.decide("t1", Verdict.APPROVED, "0" * 64)
        facts = await client.until("t1", TaskCancelled)
        assert [type(fact) for fact in facts] == [TaskSubmitted, TaskAssigned, TaskHeld, TaskCancelled]
        assert isinstance(facts[-1], TaskCancelled)
        assert facts[-1].cause is CancelCause.APPROVAL_REJECTED


async def test_cancelling_a_held_task_is_done_at_once_and_drops_the_question(server: NatsServer) -> None:
    async with routed(server, **OURS) as client:
        await client.submit("t1", repo="acme/calc", priority="P0")
        assert await client.cancel("t1") is TaskStatus.CANCELLED
        assert [type(fact) for fact in await client.facts("t1")][-2:] == [TaskHoldDropped, TaskCancelled]


async def test_a_broken_promise_is_told_while_the_task_is_open_and_not_after_its_end(server: NatsServer) -> None:
    async with routed(server) as client:
        await client.submit("t1", sla_s=2.2)
        await client.submit("t2", sla_s=2.0)
        await client.report("t2", Reported.SUCCEEDED)
        facts = await client.until("t1", TaskSlaBreached)
        assert isinstance(facts[-1], TaskSlaBreached)
        assert await client.report("t1", Reported.STARTED) is TaskStatus.IN_PROGRESS
        assert not any(isinstance(fact, TaskSlaBreached) for fact in await client.facts("t2"))


async def test_an_agent_elsewhere_that_is_late_has_failed(server: NatsServer) -> None:
    async with routed(server, agent_deadline_s=0.5) as client:
        await client.submit("t1", deadline_s=0.1)
        await client.report("t1", Reported.STARTED)
        last = (await client.until("t1", TaskFailed))[-1]
        assert isinstance(last, TaskFailed)
        assert last.code == "DEADLINE"


async def test_a_parent_must_be_there_in_the_same_tenant(server: NatsServer) -> None:
    async with routed(server) as client, talking(server, "umbrella") as other:
        await client.submit("t1")
        for stranger in (client.submit("t2", parent="t0"), other.submit("t2", parent="t1"), client.submit("t2", parent="t2")):
            refusal = await refused(stranger)
            assert (type(refusal), refusal.code) == (NotFound, "PARENT_NOT_FOUND")
        assert await client.facts("t2") == []


async def test_only_a_task_of_the_tenant_that_is_over_is_gone_on_with(server: NatsServer) -> None:
    def origin(task: str) -> dict[str, Any]:
        found = {"task": task, "onward": "continue", "attempt": 1, "snapshot": "", "commit": "c", "base": "c"}
        return {"origin": found, "repo": "acme/shop"}

    async with routed(server) as client, talking(server, "umbrella") as other:
        await client.submit("t1", repo="acme/shop")
        for asking, code in (
            (client.submit("t2", **origin("t0")), "ORIGIN_NOT_FOUND"),
            (other.submit("t2", **origin("t1")), "ORIGIN_NOT_FOUND"),
            (client.submit("t2", **origin("t1")), "TASK_NOT_OVER"),
        ):
            assert (await refused(asking)).code == code
        await client.report("t1", Reported.SUCCEEDED)
        assert (await refused(client.submit("t2", **{**origin("t1"), "repo": "acme/other"}))).code == "ORIGIN_DIFFERS"
        assert await client.facts("t2") == []
        for _ in range(2):
            assert (await client.submit("t2", **origin("t1"))).task_id == "t2"


async def test_cancelling_a_parent_cancels_its_parts_that_are_not_over(server: NatsServer) -> None:
    async with routed(server) as client:
        await client.submit("t1")
        for part in ("t2", "t3", "t4"):
            await client.submit(part, parent="t1")
        await client.submit("t5", parent="t4")
        await client.report("t3", Reported.SUCCEEDED)
        known = [fact.child for fact in await client.facts("t1") if isinstance(fact, TaskChildAdded)]
        assert known == ["t2", "t3", "t4"], "whoever was told of a part finds it in its parent"

        assert await client.cancel("t1") is TaskStatus.CANCELLED

        for part in ("t2", "t4", "t5"):
            last = (await client.until(part, TaskCancelled))[-1]
            assert isinstance(last, TaskCancelled)
            assert (last.by, last.cause) == ("trunkline", CancelCause.PARENT_CANCELLED)
        assert isinstance((await client.facts("t3"))[-1], TaskSucceeded)
        refusal = await refused(client.submit("t6", parent="t1"))
        assert (type(refusal), refusal.code) == (Conflict, "PARENT_CANCELLED")
        late = TaskSubmitted(assignment=Assignment(parent="t1"), submitted_by="ann", deadline_at=now() + timedelta(hours=1))
        await client.bus.log.append(client.subject("t7"), Record(at=now(), facts=(late,)), expect=0, id="looked-at-before-the-end")
        await client.until("t7", TaskCancelled)


async def test_a_part_of_a_task_that_ended_by_itself_is_taken_and_lives_its_own_life(server: NatsServer) -> None:
    async with routed(server) as client:
        await client.submit("t1")
        await client.report("t1", Reported.SUCCEEDED)
        assert (await client.submit("t2", parent="t1")).status is TaskStatus.ASSIGNED
        assert not any(isinstance(fact, TaskChildAdded) for fact in await client.facts("t1"))


async def test_a_task_has_so_many_parts_and_no_more(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline_router.handlers.task_life.MOST_CHILDREN", 2)
    async with routed(server) as client:
        await client.submit("t1")
        for part in ("t2", "t3"):
            await client.submit(part, parent="t1")
        await client.until("t1", TaskChildAdded, count=2)
        refusal = await refused(client.submit("t4", parent="t1"))
        assert (type(refusal), refusal.code) == (Conflict, "TOO_MANY_CHILDREN")
        assert (await client.submit("t3", parent="t1")).task_id == "t3"  # a repeat is no fourth


async def test_a_published_event_is_kept_once_beside_its_task_or_beside_none(server: NatsServer) -> None:
    async with routed(server) as client, talking(server, "umbrella") as other:
        await client.submit("t1")
        first = await client.publish("e1", "t1")
        assert (await client.publish("e1", "t1")).seq == first.seq
        assert (await client.publish("e2", "t1")).seq > first.seq
        await client.publish("e3")
        said = [fact.payload for fact in await client.facts("t1", subjects.MESSAGE) if isinstance(fact, EventPublished)]
        assert said == [{"id": "e1"}, {"id": "e2"}]
        assert len(await client.facts(subjects.NO_TASK, subjects.MESSAGE)) == 1
        for stranger in (client.publish("e4", "t9"), other.publish("e4", "t1")):
            refusal = await refused(stranger)
            assert (type(refusal), refusal.code) == (NotFound, "TASK_NOT_FOUND")
        assert (await other.publish("e1")).seq > first.seq  # the same id of another tenant is another event


async def test_an_event_that_is_said_again_when_nats_server_has_forgotten_it_is_found_and_not_stored_twice(server: NatsServer) -> None:
    """As when a gateway died before it kept the answer: the Idempotency-Key lives for a day, nats-server's memory for minutes."""
    async with routed(server) as client:
        await client.submit("t1")
        named = [minted(now() - timedelta(minutes=minutes)) for minutes in (20, 30, 30)]
        first, second = await client.publish(named[0], "t1"), await client.publish(named[1])
        await forget(client.bus)
        assert (await client.publish(named[2], "t1")).seq > second.seq  # an old name that was never said is said now
        assert (await client.publish(named[0], "t1")).seq == first.seq
        assert (await client.publish(named[1])).seq == second.seq
        said = [fact.payload["id"] for fact in await client.facts("t1", subjects.MESSAGE) if isinstance(fact, EventPublished)]
        assert said == [named[0], named[2]]


def minted(at: datetime) -> str:
    """An id as it would have been minted then."""
    return f"{int(at.timestamp() * 1000):012x}{new_id()[12:]}"


async def forget(bus: Bus) -> None:
    """nats-server remembers no id any more."""
    js = bus.client.jetstream()
    config = (await js.stream_info(EVENTS)).config
    config.duplicate_window = 0.1
    await js.update_stream(config)
    async with asyncio.timeout(10):
        for number in itertools.count():  # it takes the same id for a new one once it has forgotten the one before
            ack = await js.publish(
                subjects.event(TenantId("nobody"), subjects.NO_TASK, subjects.MESSAGE), b"{}", headers={"Nats-Msg-Id": "?"}
            )
            if number and not ack.duplicate:
                return
            await asyncio.sleep(0.05)


async def test_the_alarm_of_an_old_attempt_set_again_late_does_not_take_the_place_of_the_next_ones(server: NatsServer) -> None:
    """The effect of a fact may be repeated after a longer time than nats-server knows repeats by."""
    fired: asyncio.Queue[DueTask] = asyncio.Queue()
    async with connect(BusSettings(nats_url=server.url), "test") as bus:
        bus.inlet.timer("router", "retry", DueTask, fired.put)
        await bus.inlet.start("router")
        timers, second = BusTimers(bus.timers, now), DueTask(tenant="acme", task="t1", attempt=2)
        third = second.model_copy(update={"attempt": 3})
        await timers.retry(third, now() + timedelta(seconds=1))
        await timers.retry(second, now() - timedelta(hours=1))
        async with asyncio.timeout(10):
            assert [await fired.get(), await fired.get()] == [second, third]


@pytest.mark.parametrize("kind", ["deadline", "sla"])
async def test_a_task_that_cannot_be_read_does_not_keep_the_alarm_from_the_others_that_it_rings_for(server: NatsServer, kind: str) -> None:
    async with routed(server) as client:
        await client.submit("t1", sla_s=86400)
        await client.bus.client.jetstream().publish(
            client.subject("t0"), b'{"at": "2026-01-01T00:00:00Z", "facts": [{"type": "task.submitted"}]}'
        )
        due = DueTasks(tasks=tuple(DueTask(tenant="acme", task=task) for task in ("t0", "t1")))
        await client.bus.timers.set(kind, "both", now(), ("router", kind), due)
        if kind == "sla":
            await client.until("t1", TaskSlaBreached)
            return
        async with asyncio.timeout(10):  # it rang a week too early, and so was set again
            while await client.stored("TIMERS", f"timer.{kind}.*") - await client.stored("TIMERS", f"timer.{kind}.both") != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
