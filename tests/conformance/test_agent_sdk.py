"""What an agent written with the SDK may rely on, with the control plane in memory that its users test with, and with the real one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import BaseModel

from tests.campaigns import LONG
from tests.conformance.agent_worlds import LEASE_S, MemoryWorld, RouterWorld, World, until
from tests.flows.test_routing import Client, routed
from trunkline import Agent, BlockingContext, Context, TaskError
from trunkline.testing.nats import nats_server
from trunkline_approvals.settings import Settings as ApprovalsSettings
from trunkline_approvals.wiring import running as approvals_running

pytestmark = [pytest.mark.flow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]
POOL = "dev_agent"


class Bug(BaseModel):
    issue: int
    title: str = "none"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router() -> AsyncIterator[tuple[str, Client]]:
    with nats_server() as server:
        approvals = approvals_running(ApprovalsSettings.model_validate({"nats_url": server.url}))
        async with approvals, routed(server, lease_s=LEASE_S) as client:
            yield server.url, client


@pytest.fixture(params=["memory", "router"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return MemoryWorld()
    return RouterWorld(*request.getfixturevalue("router"))


async def test_work_is_taken_spoken_of_and_done(world: World) -> None:
    agent = Agent(POOL)

    @agent.task("bugfix")
    async def fix(bug: Bug, ctx: Context) -> dict[str, object]:
        ctx.progress("looking", 0.5)
        ctx.say("first")
        ctx.artifact("fix.patch", "+1", media_type="text/x-diff")
        await ctx.say("second")
        return {"issue": bug.issue, "attempt": ctx.task.attempt}

    async with world.serving(agent):
        task = await world.submit({"issue": 7, "other": True})
        end = await task.over()
        assert (end.status, end.result) == ("succeeded", {"issue": 7, "attempt": 1})
        assert await task.said() == ["first", "second"]
        assert await task.made() == ["fix.patch"]


async def test_a_payload_that_does_not_fit_fails_at_once_and_says_where(world: World) -> None:
    agent = Agent(POOL)

    @agent.task("bugfix")
    async def fix(bug: Bug) -> None:
        raise AssertionError("never begun")

    async with world.serving(agent):
        end = await (await world.submit({"issue": "seven"}, max_retries=3)).over()
        assert (end.status, end.code, end.attempt) == ("failed", "BAD_PAYLOAD", 1)
        assert "fix() does not take this payload: issue: input should be a valid integer" in end.error
        assert "seven" not in end.error


async def test_a_defect_is_tried_again_and_people_are_not_asked_twice(world: World) -> None:
    agent = Agent(POOL)

    @agent.task("bugfix")
    async def fix(ctx: Context) -> str:
        allowed = await ctx.approve("Drop the table?", {"table": "users"})
        if ctx.task.attempt == 1:
            raise RuntimeError("the disk is full")
        return f"{allowed.by}: {bool(allowed)}"

    async with world.serving(agent):
        task = await world.submit(max_retries=1)
        question = await task.question()
        assert question.words == "Drop the table?"
        await question.yes()
        end = await task.over()
        assert (end.status, end.attempt) == ("succeeded", 2)
        assert str(end.result).endswith(": True")


async def test_an_error_of_the_handler_is_told_in_its_words(world: World) -> None:
    agent = Agent(POOL)

    @agent.task("bugfix")
    def fix(why: str) -> None:
        raise TaskError(why) if why else ValueError("odd")

    async with world.serving(agent):
        meant, defect = await world.submit({"why": "no such branch"}, max_retries=3), await world.submit({"why": ""})
        end = await meant.over()
        assert (end.status, end.code, end.error, end.attempt) == ("failed", "AGENT_FAILED", "no such branch", 1)
        end = await defect.over()
        assert (end.code, end.error) == ("HANDLER_RAISED", "the handler raised ValueError: odd")


async def test_people_say_no_and_answer_in_words(world: World) -> None:
    agent = Agent(POOL)

    @agent.task("bugfix")
    async def fix(ctx: Context) -> list[str]:
        refused = await ctx.approve("Delete it?")
        return [str(bool(refused)), refused.reason, await ctx.ask("Which branch?")]

    async with world.serving(agent):
        task = await world.submit()
        await (await task.question()).no("never")
        question = await until(lambda: _another(task, "Delete it?"))
        await question.yes("main")
        assert (await task.over()).result == ["False", "never", "main"]


async def _another(task: object, words: str) -> object:
    question = await task.question()
    return question if question.words != words else None


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_cancelled_task_is_a_cancelled_handler(world: World, blocking: bool) -> None:
    agent = Agent(POOL)
    seen: list[str] = []

    async def waits(ctx: Context) -> None:
        try:
            ctx.say("here")
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(str(ctx.cancelled))
            raise

    def sleeps(ctx: BlockingContext) -> None:
        try:
            ctx.say("here")
            ctx.sleep(60)
        except asyncio.CancelledError as error:
            seen.append(str(error))
            raise

    agent.task("bugfix")(sleeps if blocking else waits)
    async with world.serving(agent):
        task = await world.submit()
        await until(task.said)
        began = time.monotonic()
        await task.cancel()
        assert (await task.over()).status == "cancelled"
        assert time.monotonic() - began < 10, "not its sixty seconds"
        assert seen == ["cancelled by ann: no longer wanted"]


async def test_whoever_is_not_heard_of_loses_the_task_and_stops_working(world: World) -> None:
    agent = Agent(POOL)
    seen: list[str] = []

    @agent.task("bugfix")
    async def fix(ctx: Context) -> int:
        try:
            await ctx.say("here")
            await asyncio.sleep(60)
        finally:
            seen.append(ctx.cancelled.cause if ctx.cancelled else "")
        return 1

    async with world.serving(agent):
        task = await world.submit(max_retries=1)
        await until(task.said)
        with world.away():
            await until(lambda: _true(bool(seen)))
            assert seen == ["lease_lost"]
            if LONG or isinstance(world, MemoryWorld):  # the router's clock is tried in flows
                await until(lambda: _second(task))


async def _second(task: object) -> bool:
    return await task.attempts() == 2


async def _true(found: bool) -> bool:
    return found


async def test_a_handler_that_blocks_the_loop_keeps_its_lease_and_is_told_of(world: World) -> None:
    agent = Agent(POOL, blocked_s=0.3)

    @agent.task("bugfix")
    async def fix() -> str:
        time.sleep(LEASE_S * 2.5)
        return "late"

    async with world.serving(agent):
        task = await world.submit()
        end = await task.over()
        assert (end.status, end.result, end.attempt) == ("succeeded", "late", 1)
        said = await task.said()
        assert "stands still" in said[0] and "fix (test_agent_sdk.py:" in said[0]


async def test_at_most_so_many_at_once(world: World) -> None:
    agent = Agent(POOL, at_once=2)
    working: set[int] = set()
    most: list[int] = []

    @agent.task("bugfix")
    async def fix(number: int) -> None:
        working.add(number)
        most.append(len(working))
        await asyncio.sleep(0.05)
        working.discard(number)

    async with world.serving(agent):
        tasks = [await world.submit({"number": number}) for number in range(6)]
        assert {(await task.over()).status for task in tasks} == {"succeeded"}
        assert max(most) == 2


async def test_an_agent_that_drains_finishes_what_ends_and_hands_back_the_rest(world: World) -> None:
    first, second = Agent(POOL, at_once=2, drain_s=1.0), Agent(POOL)

    @first.task("bugfix")
    async def fix(ctx: Context, seconds: float) -> str:
        ctx.say("here")
        await asyncio.sleep(seconds)
        return "first" if seconds else await ctx.ask("Which branch?")

    @second.task()
    async def other(ctx: Context, seconds: float) -> str:
        return "second" if seconds else await ctx.ask("Which branch?")

    async with world.serving(first):
        short, long = await world.submit({"seconds": 0.2}), await world.submit({"seconds": 0})
        await until(short.said)
        question = await long.question()
        first.drain()
        assert (await short.over()).result == "first"
        await until(lambda: _true(first._serving is None))
        late = await world.submit({"seconds": 1})
        async with world.serving(second):
            await question.yes("main")  # asked by the first, and not once more
            end = await long.over()
            assert (end.result, end.attempt) == ("main", 1)
            assert (await late.over()).result == "second"


@pytest.mark.parametrize("verb", ["claim", "report", "say"])
async def test_an_answer_that_gets_lost_changes_nothing(world: World, verb: str) -> None:
    agent = Agent(POOL)
    times: list[int] = []

    @agent.task("bugfix")
    async def fix(ctx: Context) -> str:
        times.append(ctx.task.attempt)
        await ctx.say("once")
        await asyncio.sleep(0.05 if verb == "say" else 0)  # else it goes with the report
        return "done"

    async with world.serving(agent):
        world.lose(verb)
        task = await world.submit()
        end = await task.over()
        assert (end.status, end.attempt, times) == ("succeeded", 1, [1])
        assert await task.said() == ["once"]


async def test_an_agent_makes_parts_and_tells_everybody(world: World) -> None:
    agent = Agent(POOL)

    @agent.task("bugfix")
    async def fix(ctx: Context) -> list[str]:
        parts = {await ctx.submit("documentation", {"page": 1}, key="page"), await ctx.submit("documentation", {"page": 1}, key="page")}
        await ctx.publish("bug.fixed", {"issue": 1})
        return list(parts)

    async with world.serving(agent):
        task = await world.submit()
        (part,) = (await task.over()).result
        assert await task.has_part(part)
        assert await task.told() == ["bug.fixed"]
