"""The kit with which agents are tested says what happened, and lets nothing hang; and how an agent treats handlers that misbehave."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import cast

import pytest
from pydantic import BaseModel, field_validator

from trunkline import Agent, BlockingContext, Context, TaskError
from trunkline.sdk.agents.failing import AgentError
from trunkline.sdk.testkit import Kit, run

POOL = "dev_agent"


def test_one_task_needs_one_line() -> None:
    agent = Agent(POOL)

    @agent.task("bugfix")
    def fix(ctx: BlockingContext, issue: int) -> int:
        ctx.say(f"issue {issue} of {ctx.task.repo}")
        return issue + 1

    task = run(agent, "bugfix", {"issue": 1}, repo="me/notes")
    assert (task.status, task.result, task.texts) == ("succeeded", 2, ["issue 1 of me/notes"])


async def test_what_does_not_happen_is_said_with_how_it_stands() -> None:
    agent = Agent(POOL)
    agent.task("bugfix")(lambda: 1 / 0)
    async with Kit(agent) as kit:
        task = kit.submit("feature")
        with pytest.raises(TimeoutError, match=r"not within 0.05 s: <task \w+ of type 'feature': assigned, attempt 1>"):
            await task.over(within=0.05)
        failed = await kit.submit("bugfix", max_retries=1).over()
        assert (failed.attempt, failed.error) == (2, "the handler raised ZeroDivisionError: division by zero")


async def test_a_failure_of_a_test_comes_out_as_it_is() -> None:
    agent = Agent(POOL)
    agent.task()(lambda: None)
    with pytest.raises(AssertionError, match="of the test"):
        async with Kit(agent):
            raise AssertionError("of the test")


async def test_an_agent_without_a_handler_says_so() -> None:
    with pytest.raises(AgentError, match="has no handler"):
        async with Kit(Agent(POOL)):
            await asyncio.sleep(1)


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words for it")


class Beyond(BaseException):
    """What `except Exception` does not catch."""


class Picky(BaseModel):
    issue: int

    @field_validator("issue")
    @classmethod
    def _looked_up(cls, issue: int) -> int:
        raise KeyError(issue)


def odd() -> None:
    raise Odd


def beyond() -> None:
    raise Beyond("the end")


async def beyond_waiting() -> None:
    raise Beyond("the end")


async def half_a_character(ctx: Context) -> None:
    ctx.say("a name: \udc80")
    raise ValueError("no such file: \udc80")


async def picky(wish: Picky) -> None: ...


def undecorated() -> object:
    return asyncio.sleep(0)


async def no_text() -> None:
    raise TaskError(cast(str, 7))


async def large(ctx: Context) -> None:
    await ctx.submit("documentation", {"pages": "x" * (600 << 10)})


ODD = {
    odd: ("HANDLER_RAISED", "raised Odd: (what it says cannot be read)"),
    beyond: ("HANDLER_RAISED", "raised Beyond: the end"),
    beyond_waiting: ("HANDLER_RAISED", "raised Beyond: the end"),
    half_a_character: ("HANDLER_RAISED", r"no such file: \udc80"),
    picky: ("HANDLER_RAISED", "raised KeyError: 1"),
    undecorated: ("RESULT_NOT_JSON", "write `async def`"),
    no_text: ("AGENT_FAILED", "7"),
    large: ("BODY_TOO_LARGE", "262144 are taken"),
}


async def test_whatever_a_handler_does_is_told_at_once_and_ends_no_other(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "trunkline.agent")  # half a character in a log breaks pytest-xdist
    agent = Agent(POOL, at_once=len(ODD))
    for handler in ODD:
        agent.task(handler.__name__)(handler)
    agent.task("fine")(lambda: "fine")
    async with Kit(agent, lease_s=30) as kit:
        for handler, (code, says) in ODD.items():
            task = await kit.submit(handler.__name__, {"issue": 1}, max_retries=0).over()
            assert (task.status, task.code) == ("failed", code) and says in task.error, task
        assert (await kit.submit("fine").over()).result == "fine"


async def test_the_end_of_the_block_ends_what_still_works() -> None:
    agent, ended, threads = Agent(POOL, at_once=2), asyncio.Event(), threading.Event()

    @agent.task("feature")
    async def waits(ctx: Context) -> None:
        try:
            await ctx.say("begun")
            await asyncio.sleep(60)
        finally:
            ended.set()

    @agent.task("bugfix")
    def sleeps(ctx: BlockingContext) -> None:
        try:
            ctx.say("begun")
            ctx.sleep(60)
        finally:
            threads.set()

    async with Kit(agent) as kit:
        tasks = [kit.submit("feature"), kit.submit("bugfix")]
        for task in tasks:
            await task.until(lambda task: task.texts)
    assert ended.is_set()
    assert threads.wait(2)


async def test_more_than_can_be_told_is_left_out_aloud_and_nothing_is_where_the_handler_waits() -> None:
    agent = Agent(POOL)

    @agent.task("feature")
    async def hasty(ctx: Context) -> None:
        for number in range(3000):
            ctx.say(str(number))

    @agent.task("bugfix")
    async def patient(ctx: Context) -> None:
        for number in range(600):
            await ctx.say(str(number))

    async with Kit(agent, lease_s=10) as kit:
        texts = (await kit.submit("feature").over()).texts
        told = 0
        for text in texts:
            assert text == str(told) or "were left out here" in text
            told += int(text.split()[0]) if "left out" in text else 1
        assert told == 3000 and len(texts) < 3000
        assert (await kit.submit("bugfix").over()).texts == [str(number) for number in range(600)]


async def test_a_handler_that_does_not_listen_keeps_its_place_and_no_more() -> None:
    agent, may_end = Agent(POOL, cleanup_s=0.02), threading.Event()

    @agent.task("bugfix")
    def deaf(ctx: BlockingContext) -> None:
        ctx.say("begun")
        may_end.wait(10)

    @agent.task("feature")
    def free() -> str:
        return "free"

    async with Kit(agent) as kit:
        task = kit.submit("bugfix", max_retries=0)
        await task.until(lambda task: task.texts)
        task.expire()
        other = kit.submit("feature")
        await asyncio.sleep(0.5)
        assert other.status == "assigned", "one at a time is what was promised"
        may_end.set()
        assert (await other.over()).result == "free"
        assert task.code == "AGENT_LOST"


async def test_cleaning_up_has_its_time_and_is_ended_then() -> None:
    agent, seen = Agent(POOL, cleanup_s=0.1), []

    @agent.task("bugfix")
    async def slow(ctx: Context) -> None:
        ctx.say("begun")
        for part in ("work", "cleanup"):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.append(part)
        ctx.say("last words")

    async with Kit(agent) as kit:
        task = kit.submit("bugfix")
        await task.until(lambda task: task.texts)
        task.overrun()
        await task.over()
        assert (task.status, task.code, seen) == ("failed", "DEADLINE", ["work", "cleanup"])
        assert task.texts == ["begun", "last words"]


async def test_a_loop_that_stands_still_takes_no_more_tasks() -> None:
    agent, begun = Agent(POOL, at_once=2, blocked_s=0.1), []

    @agent.task("bugfix")
    async def blocks(ctx: Context) -> None:
        begun.append(time.monotonic())
        time.sleep(0.5)

    async with Kit(agent) as kit:
        first = kit.submit("bugfix")
        await first.until(lambda task: begun)
        assert (await first.over()).status == "succeeded"
        assert "blocks (test_testkit.py:" in first.texts[0]


async def test_a_drained_agent_ends_and_hands_back_what_it_has_not_done() -> None:
    agent = Agent(POOL, drain_s=0.05, cleanup_s=0.05)

    @agent.task("bugfix")
    async def long(ctx: Context) -> None:
        ctx.say("begun")
        await asyncio.sleep(60)

    async with Kit(agent) as kit:
        task, waiting = kit.submit("bugfix"), kit.submit("bugfix")
        await task.until(lambda task: task.texts)
        await kit.drain()
        assert [(each.status, each.attempt, each.in_hand) for each in (task, waiting)] == [("assigned", 1, False)] * 2


async def test_many_that_wait_for_people_take_turns_and_all_are_answered() -> None:
    agent = Agent(POOL, at_once=60)

    @agent.task("bugfix")
    async def asks(ctx: Context, number: int) -> str:
        return await ctx.ask(f"number {number}?")

    async with Kit(agent) as kit:
        tasks = [kit.submit("bugfix", {"number": number}) for number in range(60)]
        for task in tasks:
            (await task.question()).answer("yes")
        assert [(await task.over()).result for task in tasks] == ["yes"] * 60
