"""Both clients say the same to a gateway in front of a small world, and read all of its answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from tests.dialects.orchestrator.asking import ADMIN, AGENT
from tests.dialects.pr_agent import stories
from tests.dialects.world import World, served
from tests.unit.sdk.cutter import Cutter
from trunkline import AsyncClient, Client
from trunkline.auth.principal import Role
from trunkline.contracts.run import Said
from trunkline.contracts.task import TaskSucceeded
from trunkline.sdk import errors
from trunkline.sdk.models.jobs import AgentEvent, ErrorEvent, ResultEvent
from trunkline.sdk.portal import ClosedError
from trunkline_gateway.sse import StreamLimits

T = TypeVar("T")
MANY = 300


def shown(world: World) -> str | None:
    """Whatever it is, it stands for the world's principal; a stranger shows nothing."""
    return None if world.principal.role is Role.ANONYMOUS else "not-looked-at"


@asynccontextmanager
async def a_client(world: World, limits: StreamLimits | None = None, **how: float) -> AsyncIterator[AsyncClient]:
    async with served(world, limits) as gateway, AsyncClient(gateway.url, api_key=shown(world), **how) as client:  # type: ignore[arg-type]
        yield client


async def blocking(world: World, act: Callable[[Client], T]) -> T:
    """What a program does that is not asynchronous."""

    def run(url: str) -> T:
        with Client(url, api_key=shown(world)) as client:
            return act(client)

    async with served(world) as gateway:
        return await asyncio.to_thread(run, gateway.url)


async def a_story(world: World, task: str, messages: int = 3) -> None:
    for facts in stories.STARTED:
        await world.say(task, *facts)
    for line in range(messages):
        await world.say(task, stories.said(line, Said.MESSAGE, display=f"step {line}", text=f"step {line}\u2028" + "x" * (line % 50)))
    await world.say(task, TaskSucceeded(result=stories.result()))


async def test_a_job_is_asked_for_followed_and_read() -> None:
    world = World()
    async with a_client(world) as client:
        job = await client.jobs.execute("myorg/myrepo", "add tests", branch="dev", task_title="Tests")
        await a_story(world, world.events[-1].task)
        stream = client.jobs.stream(job.job_id)
        events = [event async for event in stream]
        done = await client.jobs.get(job.job_id)
    assert isinstance(events[-1], ResultEvent) and events[-1].result.pr_number == 42
    assert [event.output[:6] for event in events if isinstance(event, AgentEvent) and event.output] == ["step 0", "step 1", "step 2"]
    assert stream.last_event_id == events[-1].id != ""
    assert (done.status, done.over, done.repo, done.branch) == ("success", True, "myorg/myrepo", "dev")
    assert done.model_extra == {}


async def test_a_program_that_is_not_asynchronous_does_the_same() -> None:
    world = World()
    world.principal = AGENT

    def act(client: Client) -> tuple[list[str], list[str], str]:
        job = client.jobs.execute("myorg/myrepo", "add tests")
        client.jobs.cancel(job.job_id, "no")
        for number in range(5):
            client.tasks.create("bugfix", {"number": number}, idempotency_key=f"k-{number}")
        assert client.tasks.create("bugfix", {"number": 1}, idempotency_key="k-1").task.payload == {"number": 1}
        with client.jobs.stream(job.job_id) as events:
            told = [type(event).__name__ for event in events]
        return told, [task.task_id for task in client.tasks.list(page_size=2)], client.jobs.get(job.job_id).status

    told, tasks, status = await blocking(world, act)
    assert (told[-1], status) == (ErrorEvent.__name__, "failed")
    assert len(tasks) == len(set(tasks)) == 6


async def test_resuming_behind_an_event_gives_the_rest_and_behind_the_end_nothing() -> None:
    world = World()
    async with a_client(world) as client:
        job = (await client.jobs.execute("o/n", "t")).job_id
        await a_story(world, world.events[-1].task)
        whole = [event async for event in client.jobs.stream(job)]
        for place, event in enumerate(whole):
            assert [one async for one in client.jobs.watch(job, after=event.id)] == whole[place + 1 :]
        world.principal = AGENT
        tasks = [event async for event in client.tasks.events(f"task_{world.events[0].task}")]
        assert tasks[-1].event_type == "task.completed"
        assert [one async for one in client.tasks.events(tasks[0].task_id, after=tasks[-1].id or "")] == []


@pytest.mark.parametrize("seed", range(3))
async def test_over_random_cuts_nothing_is_left_out_and_nothing_is_told_twice(seed: int) -> None:
    world = World()
    async with served(world) as gateway, Cutter(gateway.url, seed, most=4000).serving() as way, AsyncClient(way.url) as client:
        way.mercy = True
        job = (await client.jobs.execute("o/n", "t")).job_id
        task = world.events[-1].task
        way.mercy = False
        stream = client.jobs.stream(job)
        first = await anext(stream)
        async with asyncio.TaskGroup() as group:
            group.create_task(a_story(world, task, MANY))
            rest = [event async for event in stream]
        way.mercy = True
        calm = [event async for event in client.jobs.stream(job)]
    assert [first, *rest] == calm
    assert way.cuts > 10, "the way was too good to prove anything"


async def test_waiting_for_an_event_may_be_given_up_and_begun_again() -> None:
    world = World()
    async with a_client(world) as client:
        job = (await client.jobs.execute("o/n", "t")).job_id
        stream = client.jobs.stream(job)
        seen = [await anext(stream)]
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await anext(stream)
        await a_story(world, world.events[-1].task)
        seen += [event async for event in stream]
        assert seen == [event async for event in client.jobs.stream(job)]


async def test_a_stream_that_says_nothing_at_all_is_taken_up_anew() -> None:
    world = World()
    async with a_client(world, StreamLimits(heartbeat=3600), silence=0.2) as client:
        job = (await client.jobs.execute("o/n", "t")).job_id
        stream = client.jobs.stream(job)
        first = await anext(stream)
        connections: list[object] = []  # kept, for what is forgotten may give its place to the next
        async with asyncio.TaskGroup() as group:
            rest = group.create_task(_all(stream))
            async with asyncio.timeout(30):
                while len(connections) < 3:
                    if all(stream._connection is not one for one in connections):
                        connections.append(stream._connection)
                    await asyncio.sleep(0.05)
            await a_story(world, world.events[-1].task)
        assert [first, *rest.result()] == [event async for event in client.jobs.stream(job)]


async def _all(stream: AsyncIterator[T]) -> list[T]:
    return [event async for event in stream]


async def test_a_gap_is_told_and_everything_follows_it() -> None:
    world = World(first_kept=3)
    world.principal = AGENT
    async with a_client(world) as client:
        job = (await client.jobs.execute("o/n", "t")).job_id
        await a_story(world, world.events[-1].task)
        told = [event async for event in client.jobs.stream(job, after="k3v9-1")]
        assert (told[0].id, getattr(told[0], "phase", "")) == ("", "gap")
        assert told[1:] == [event async for event in client.jobs.stream(job)]


async def test_a_stream_of_nothing_is_refused() -> None:
    async with a_client(World()) as client:
        with pytest.raises(errors.NotFoundError):
            await anext(client.jobs.stream("00000000-0000-0000-0000-000000000000"))
        with pytest.raises(errors.InvalidRequestError) as refused:
            await anext(client.jobs.stream("00000000-0000-0000-0000-000000000000", after="nonsense"))
        assert refused.value.code == "BAD_EVENT_ID"


async def test_a_refusal_has_its_code_and_the_request_that_finds_it_in_the_log() -> None:
    async with a_client(World()) as client:
        with pytest.raises(errors.InvalidRequestError) as refused:
            await client.jobs.execute("nonsense", "x")
    assert (refused.value.code, refused.value.status, refused.value.details) == ("INVALID_REPO", 400, {"field": "repo"})
    assert refused.value.request_id


async def test_approvals_are_listed_read_and_decided() -> None:
    world = World()
    world.principal = AGENT
    async with a_client(world) as client:
        created = await client.tasks.create("bugfix", {"issue": "1"}, priority="P1")
        assert created.requires_approval
        world.principal = ADMIN
        [open_one] = [approval async for approval in client.approvals.pending()]
        assert (await client.approvals.get(open_one.approval_id)).digest == open_one.digest
        decided = await client.approvals.approve(open_one.approval_id, reason="fine", digest=open_one.digest)
        assert decided.message.startswith("Approved by")
        [past] = [approval async for approval in client.approvals.history()]
        assert (past.status, past.decided_by) == ("approved", "human")
        with pytest.raises(errors.NotFoundError):
            await client.approvals.reject(open_one.approval_id)


async def test_events_traces_pages_and_usage() -> None:
    world = World()
    world.principal = AGENT
    async with a_client(world) as client:
        task = (await client.tasks.create("documentation", {}, trace_id="trace-1")).task
        published = await client.events.publish("step.done", "me", task_id=task.task_id, trace_id="trace-1", payload={"n": 1})
        await client.tasks.report(task.task_id, "in_progress")
        trace = await client.traces.get("trace-1")
        assert [event.event_type for event in trace.events] == ["step.done"]
        page = await client.tasks.event_page(task.task_id, limit=1)
        assert page.has_more and page.next == page.events[0].id
        assert published.event_id and (await client.tasks.cancel(task.task_id, "no")).status == "cancelled"
        assert (await client.tasks.get(task.task_id)).over
        with pytest.raises(errors.ConflictError):
            await client.tasks.report(task.task_id, "completed")
        assert (await client.tasks.usage(since="2025-01-01")).cost_usd >= 0


async def test_a_client_that_was_closed_says_so_and_one_that_is_dropped_leaves_its_streams_alone() -> None:
    world = World()

    def act(client: Client) -> None:
        job = client.jobs.execute("o/n", "t").job_id
        stream = Client(client.base_url).jobs.stream(job)
        assert next(stream).type == "status"
        client.close()
        with pytest.raises(ClosedError):
            client.jobs.get(job)

    await blocking(world, act)


async def test_nobody_there_is_told_in_a_sentence_without_a_secret() -> None:
    async with AsyncClient("http://127.0.0.1:1", token="se.cr.et", retry_for=0) as client:
        with pytest.raises(errors.UnreachableError) as refused:
            await client.tasks.create("bugfix", {})
    assert str(refused.value) == "No answer from http://127.0.0.1:1: nobody listens there. [UNREACHABLE]"
    assert "se.cr.et" not in repr((client, client._means, vars(refused.value)))
