"""Runs that wait for people, and pull requests that a forge reports, on a real nats-server: the test writes what a carrier would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.flows.test_routing import OURS, Client, refused, routed, talking
from trunkline.contracts import subjects
from trunkline.contracts.errors import NotFound
from trunkline.contracts.forge import PullRequestEnded, ReportPullRequest
from trunkline.contracts.message import Accepted, Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import BranchPushed, PullRequestOpened, RunClaimed, RunFailed, RunGoesOn, RunStopped, RunWaits, Wait
from trunkline.contracts.task import (
    StopCause,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskGoesOn,
    TaskStarted,
    TaskStopRequested,
    TaskSubmitted,
    TaskWaits,
)
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_router.ports import DueTask, DueTasks

pytestmark = pytest.mark.flow
CLAIMED = RunClaimed(attempt=1, owner="s1")
WAITS = RunWaits(attempt=1, why=Wait.TOOL_CALL, approval_id="call-1")
GOES = RunGoesOn(attempt=1)


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


async def carrier_says(client: Client, *said: Fact, at: datetime | None = None) -> None:
    subject = client.subject("t1", "run")
    last = await client.bus.log.last(subject)
    await client.bus.log.append(subject, Record(at=at or now(), facts=said), expect=last.seq if last else 0, id=new_id())


async def kinds(client: Client) -> list[type[Fact]]:
    return [type(fact) for fact in await client.facts("t1")]


def last(found: list[Fact], kind: type[TaskGoesOn]) -> TaskGoesOn:
    return [fact for fact in found if isinstance(fact, kind)][-1]


async def deadline(client: Client) -> datetime:
    first = (await client.facts("t1"))[0]
    assert isinstance(first, TaskSubmitted)
    return first.deadline_at


async def test_a_deadline_stands_still_while_people_think_and_ends_the_task_after_the_moved_moment(server: NatsServer) -> None:
    async with routed(server, **OURS) as client:
        await client.submit("t1", repo="acme/calc", deadline_s=3.0)
        await carrier_says(client, CLAIMED)
        await carrier_says(client, WAITS)
        await client.until("t1", TaskWaits)
        await asyncio.sleep(3.5)
        assert TaskStopRequested not in await kinds(client)

        await carrier_says(client, GOES)
        moved = last(await client.until("t1", TaskGoesOn), TaskGoesOn)
        assert moved.deadline_at - await deadline(client) > timedelta(seconds=3.4)
        stop = (await client.until("t1", TaskStopRequested))[-1]
        assert isinstance(stop, TaskStopRequested) and stop.cause is StopCause.DEADLINE
        assert now() >= moved.deadline_at - timedelta(seconds=0.1)
        await carrier_says(client, RunStopped(attempt=1))
        await client.until("t1", TaskFailed)


async def test_the_time_of_a_wait_counts_in_full_though_no_router_heard_it_begin_or_end(server: NatsServer) -> None:
    async with routed(server, **OURS) as client:
        await client.submit("t1", repo="acme/calc", deadline_s=2.5)
        await carrier_says(client, CLAIMED)
        await client.until("t1", TaskStarted)
    async with talking(server) as client:
        began = now()
        await carrier_says(client, WAITS, at=began)
        await asyncio.sleep(2.6)  # the alarm lies at nats-server, and rings as soon as a router hears
    async with routed(server, **OURS) as client:
        await client.until("t1", TaskWaits)
        await asyncio.sleep(0.5)
        assert TaskStopRequested not in await kinds(client)
    async with talking(server) as client:
        await carrier_says(client, GOES, at=began + timedelta(hours=1))
        await carrier_says(client, WAITS, at=began + timedelta(hours=2))
        await carrier_says(client, GOES, at=began + timedelta(hours=4))
    async with routed(server, **OURS) as client:
        moved = last(await client.until("t1", TaskGoesOn, count=2), TaskGoesOn)
        assert abs(moved.deadline_at - await deadline(client) - timedelta(hours=3)) < timedelta(milliseconds=1)


async def test_a_run_that_dies_while_it_waits_is_tried_again_and_the_next_attempt_has_a_deadline(server: NatsServer) -> None:
    async with routed(server, **OURS) as client:
        await client.submit("t1", repo="acme/calc", deadline_s=3.0, max_retries=1)
        await carrier_says(client, CLAIMED, WAITS)
        await client.until("t1", TaskWaits)
        await asyncio.sleep(1)
        await carrier_says(client, RunFailed(attempt=1, code="AGENT_LOST", error="gone", recoverable=True))
        await client.until("t1", TaskAssigned, count=2)
        await client.until("t1", TaskStopRequested)
        assert [kind.__name__ for kind in await kinds(client)][-4:] == [
            "TaskGoesOn",
            "TaskRetryScheduled",
            "TaskAssigned",
            "TaskStopRequested",
        ]


async def test_a_task_is_cancelled_while_its_run_waits(server: NatsServer) -> None:
    async with routed(server, **OURS) as client:
        await client.submit("t1", repo="acme/calc")
        await carrier_says(client, CLAIMED, WAITS)
        await client.until("t1", TaskWaits)
        await client.cancel("t1")
        await carrier_says(client, RunStopped(attempt=1))
        await client.until("t1", TaskCancelled)


async def test_many_short_waits_that_are_heard_at_once_leave_no_deadline_standing_still(server: NatsServer) -> None:
    async with routed(server, **OURS) as client:
        await client.submit("t1", repo="acme/calc", deadline_s=3600)
        await carrier_says(client, CLAIMED)
    async with talking(server) as client:
        began = now()
        for number in range(100):
            await carrier_says(client, WAITS, at=began + timedelta(seconds=2 * number))
            await carrier_says(client, GOES, at=began + timedelta(seconds=2 * number + 1))
    async with routed(server, **OURS) as one, routed(server, **OURS):
        found = await one.until("t1", TaskGoesOn, count=100)
        await asyncio.sleep(0.5)
        assert [kind.__name__ for kind in await kinds(one)].count("TaskWaits") == 100
        assert abs(last(found, TaskGoesOn).deadline_at - await deadline(one) - timedelta(seconds=100)) < timedelta(milliseconds=1)


async def test_an_alarm_that_rings_early_is_set_again_unless_the_deadline_has_moved(server: NatsServer) -> None:
    """The clock of nats-server may run ahead of the router's."""
    async with routed(server, **OURS) as client:

        async def alarms(number: int) -> None:
            async with asyncio.timeout(20):
                while await client.stored("TIMERS", "timer.deadline.*") != number:  # noqa: ASYNC110 - the store is looked at, nobody tells
                    await asyncio.sleep(0.05)

        async def ring() -> None:
            due = DueTasks(tasks=(DueTask(tenant="acme", task="t1"),))
            await client.bus.timers.set("deadline", new_id(), now(), ("router", "deadline"), due)
            await asyncio.sleep(0.7)

        await client.submit("t1", repo="acme/calc", deadline_s=100)
        await carrier_says(client, CLAIMED)
        await alarms(1)
        await ring()
        await alarms(2)
        await carrier_says(client, WAITS)
        await carrier_says(client, GOES, at=now() + timedelta(hours=1))
        await client.until("t1", TaskGoesOn)
        await alarms(3)
        await ring()
        await alarms(3)
        assert TaskStopRequested not in await kinds(client)


def reported(client: Client, delivery: str, repo: str = "acme/calc", number: int = 7) -> ReportPullRequest:
    return ReportPullRequest(
        tenant=client.tenant, at=now(), task_id="t1", repo=repo, number=number, merged=True, by="github:ann", delivery=delivery
    )


async def report(client: Client, wish: ReportPullRequest) -> Accepted:
    return await client.bus.commands.send("router", wish.task_id, wish)


async def test_what_became_of_a_pull_request_is_kept_once_a_delivery(server: NatsServer) -> None:
    async with routed(server, **OURS) as client, talking(server, "umbrella") as other:
        await client.submit("t1", repo="acme/calc")
        early = await refused(report(client, reported(client, "d0")))
        await carrier_says(client, CLAIMED, PullRequestOpened(number=7, url="u"))

        first = await report(client, reported(client, "d1", repo="Acme/Calc"))
        assert (await report(client, reported(client, "d1", repo="Acme/Calc"))).seq == first.seq
        assert (await report(client, reported(client, "d2"))).seq > first.seq

        ended = await client.facts("t1", subjects.PULL)
        assert ended[0] == PullRequestEnded(repo="Acme/Calc", number=7, merged=True, by="github:ann")
        assert len(ended) == 2
        strangers = [
            reported(client, "d3", number=8),
            reported(client, "d3", repo="acme/other"),
            reported(other, "d3"),
            reported(client, "d3").model_copy(update={"task_id": "t9"}),
        ]
        refusals = [early, *[await refused(report(client, wish)) for wish in strangers]]
        assert {(type(one), one.code) for one in refusals} == {(NotFound, "NO_SUCH_PULL_REQUEST")}


async def test_a_merge_that_is_heard_before_the_run_told_of_its_pull_request_is_not_lost(server: NatsServer) -> None:
    """As when the run's replica died between the two, or a forge merges at once."""
    async with routed(server, **OURS) as client:
        await client.submit("t1", repo="acme/calc.git")
        await carrier_says(client, CLAIMED, BranchPushed(branch="b", commit="c"))
        await report(client, reported(client, "d1"))
        assert await client.facts("t1", subjects.PULL) == []
        await carrier_says(client, PullRequestOpened(number=7, url="u"))
        async with asyncio.timeout(20):
            while not (ended := await client.facts("t1", subjects.PULL)):  # noqa: ASYNC110 - the log is looked at, nobody tells
                await asyncio.sleep(0.1)
        assert ended == [PullRequestEnded(repo="acme/calc", number=7, merged=True, by="github:ann")]


async def test_a_delivery_that_comes_again_after_days_is_known(server: NatsServer) -> None:
    """nats-server itself knows a repeat for some minutes only: here it never heard of the first."""
    async with routed(server, **OURS) as client:
        await client.submit("t1", repo="acme/calc")
        await carrier_says(client, CLAIMED, PullRequestOpened(number=7, url="u"))
        first = await report(client, reported(client, "d1"))
        js = client.bus.client.jetstream()
        config = (await js.stream_info("EVENTS")).config
        config.duplicate_window = 0.1
        await js.update_stream(config)
        await asyncio.sleep(0.5)
        assert (await report(client, reported(client, "d1"))).seq == first.seq
        assert len(await client.facts("t1", subjects.PULL)) == 1
