"""Messages to an agent over a real nats-server: taken once or withdrawn and never both, whoever writes, and whoever is killed."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from tests.campaigns import tries
from tests.flows.steering_desk import (
    JOB,
    SECRET,
    Replica,
    begun,
    caller,
    desk,
    edit,
    facts,
    place,
    queue,
    refused,
    reorder,
    replicas,
    router_says,
    say,
    steer,
    withdraw,
)
from trunkline.bus import Bus
from trunkline.contracts.errors import Conflict
from trunkline.contracts.steering import (
    MOST_QUEUED,
    MOST_TEXT,
    InboxClosed,
    MessageDelivered,
    MessageEdited,
    MessageQueued,
    MessageState,
    MessageTaken,
    MessageWithdrawn,
    Steer,
)
from trunkline.contracts.task import TaskCancelled
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model.inbox import Letter

pytestmark = pytest.mark.flow
CALLERS = 64
MESSAGES = tries(64, 960)


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


async def test_sixty_four_callers_change_and_withdraw_while_two_carriers_take(server: NatsServer) -> None:
    async with replicas(server.url, 2) as served, caller(server.url) as bus:
        await begun(bus)
        done, told = asyncio.Event(), dict[str, Letter]()
        async with asyncio.TaskGroup() as group:
            for each in served:
                group.create_task(_carry(each, told, done))
            async with asyncio.TaskGroup() as callers:
                outcomes = [callers.create_task(_people(bus, number)) for number in range(CALLERS)]
            async with asyncio.timeout(60):
                while any(one.state in ("queued", "delivered") for one in (await queue(bus)).messages):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)
            done.set()
        withdrawn = {id for task in outcomes for id in task.result() if id}
        _check(await facts(bus), told, withdrawn)
        print(f"{len(told)} taken, {len(withdrawn)} withdrawn")


async def _people(bus: Bus, number: int) -> list[str]:
    """Say, change and perhaps withdraw, as fast as it goes; what was withdrawn."""
    chance, gone = random.Random(number), list[str]()
    for turn in range(MESSAGES // CALLERS):
        id = f"m{number}-{turn}"
        assert await _settled(lambda id=id: say(bus, id, "0", f"p{number}")) == ""
        for count in range(chance.randrange(3)):
            assert await _settled(lambda id=id, count=count: edit(bus, id, str(count + 1))) in ("", "MESSAGE_TAKEN")
        if chance.random() < 0.5 and await _settled(lambda id=id: withdraw(bus, id)) == "":
            gone.append(id)
    return gone


async def _settled(wish: Callable[[], Awaitable[None]]) -> str:
    """How it was answered, asked again while there is no room for it or no time."""
    while (code := await refused(wish())) in ("INBOX_FULL", "CONTENDED", "NOT_IN_TIME", "NO_OWNER"):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.05)
    return code


async def _carry(one: Replica, told: dict[str, Letter], done: asyncio.Event) -> None:
    while not done.is_set():
        found = await one.inbox.next(JOB)
        if found is None:
            await asyncio.sleep(0.002)
            continue
        taken = await one.inbox.take(JOB, found, 1)
        if taken:
            # Both carry the same sitting here, and a repeat of a claim is a claim: what they tell must be the same to the letter.
            assert told.setdefault(taken.id, taken) == taken


def _check(said: list[object], told: dict[str, Letter], withdrawn: set[str]) -> None:
    texts: dict[str, str] = {}
    ends: dict[str, str] = {}
    seen: set[str] = set()
    for fact in said:
        match fact:
            case MessageQueued() | MessageEdited():
                assert fact.message_id not in ends
                texts[fact.message_id] = fact.text
            case MessageDelivered():
                assert fact.message_id in texts and fact.message_id not in seen
                seen.add(fact.message_id)
            case MessageTaken():
                assert fact.message_id in seen and fact.message_id not in ends
                ends[fact.message_id] = "taken"
            case MessageWithdrawn():
                assert fact.message_id not in ends
                ends[fact.message_id] = "withdrawn"
    assert {id for id, end in ends.items() if end == "taken"} == set(told)
    assert {id for id, end in ends.items() if end == "withdrawn"} == withdrawn
    assert {letter.id: letter.text for letter in told.values()} == {id: texts[id] for id in told}
    assert set(ends) == set(texts)


@pytest.mark.kill
@pytest.mark.parametrize("victim", ["service", "nats-server", "both"])
async def test_the_queue_keeps_its_order_when_somebody_is_killed(server: NatsServer, victim: str) -> None:
    with desk(server.url) as service:
        async with caller(server.url) as bus:
            await service.ready(bus)
            await begun(bus)
            for id in ("a", "b", "c", "d"):
                await say(bus, id)
            await reorder(bus, "d", "b", "c", "a")
            await edit(bus, "c", "changed")
            await withdraw(bus, "b")
            await steer(bus, Steer.PAUSE)
            if victim != "nats-server":
                service.kill()
            if victim != "service":
                server.kill()
                server.start()
            if victim != "nats-server":
                service.start()
            await service.ready(bus)
            view = await queue(bus)
            assert [(one.message_id, one.state) for one in view.messages] == [
                ("d", MessageState.QUEUED), ("c", MessageState.QUEUED), ("a", MessageState.QUEUED), ("b", MessageState.WITHDRAWN),
            ]  # fmt: skip
            assert (view.messages[1].text, view.paused) == ("changed", True)


@pytest.mark.kill
async def test_a_message_that_was_claimed_by_one_who_died_before_telling_it_is_found_by_the_next(server: NatsServer) -> None:
    with desk(server.url) as service:
        async with caller(server.url) as bus:
            await service.ready(bus)
            await begun(bus)
            await say(bus, "a", "one")
            await edit(bus, "a", "two")
            (service.folder / ".draft").write_text("self")
            (service.folder / ".draft").rename(service.folder / "message_taken.after_record")
            (service.folder / "take").touch()
            assert service.process
            assert await asyncio.to_thread(service.process.wait, 20) != 0
            async with replicas(server.url, 1) as (taker,):
                assert await taker.inbox.next(JOB) is None
                assert [letter.entry for letter in await taker.inbox.taken(JOB, 1)] == ["msg-a-1"]
                assert await taker.inbox.taken(JOB, 2) == ()
                again = await taker.inbox.take(JOB, "a", 1)
                assert again and again.text == "two"
                assert await taker.inbox.take(JOB, "a", 2) is None
            assert sum(isinstance(fact, MessageTaken) for fact in await facts(bus)) == 1


async def test_what_is_said_at_the_moment_of_closing_is_taken_or_refused_and_never_lost(server: NatsServer) -> None:
    async with replicas(server.url, 2) as served, caller(server.url) as bus:
        await begun(bus)
        async with asyncio.TaskGroup() as group:
            sent = {f"m{n}": group.create_task(refused(say(bus, f"m{n}"))) for n in range(40)}
            closing = group.create_task(_close(served[0]))
        taken = closing.result()
        refusals = {id: task.result() for id, task in sent.items()}
        assert set(refusals.values()) <= {"", "TASK_ENDING"}
        assert {id for id, code in refusals.items() if not code} == taken
        assert isinstance((await facts(bus))[-1], InboxClosed)


async def _close(one: Replica) -> set[str]:
    """As a carrier at the end of a turn: it goes on with what waits, and closes when nothing does."""
    taken: set[str] = set()
    while not await one.inbox.close(JOB, 1, unless_waiting=True):
        if found := await one.inbox.next(JOB):
            letter = await one.inbox.take(JOB, found, 1)
            taken |= {letter.id} if letter else set()
    return taken


async def test_the_end_of_a_task_tells_what_never_reached_its_agent(server: NatsServer) -> None:
    async with replicas(server.url, 1) as (one,), caller(server.url) as bus:
        seq = await begun(bus)
        await say(bus, "a")
        await router_says(bus, TaskCancelled(by="ann", reason=""), after=seq)
        newest = await bus.log.last(place("task"))
        assert newest
        for _ in range(2):
            await one.inbox.over(newest)
        assert (await facts(bus))[1:] == [
            MessageWithdrawn(message_id="a", by="trunkline", reason="the task is over"), InboxClosed(attempt=1),
        ]  # fmt: skip
        assert await refused(say(bus, "b")) == "TASK_OVER"
        assert (await queue(bus)).closed


async def test_a_secret_in_a_message_is_struck_before_it_is_stored(server: NatsServer) -> None:
    async with replicas(server.url, 1), caller(server.url) as bus:
        await begun(bus)
        await say(bus, "a", f"the key is {SECRET}, use it")
        await edit(bus, "a", f"{SECRET} is the key")
        stored = b"".join([each.body for each in (await bus.log.load(place("inbox"))).records])
        assert SECRET.encode() not in stored
        assert (await queue(bus)).messages[0].text == "[redacted:model_key] is the key"


async def test_a_hundred_messages_of_the_most_text_are_taken_and_listed(server: NatsServer) -> None:
    async with replicas(server.url, 1) as (one,), caller(server.url) as bus:
        await begun(bus)
        for number in range(MOST_QUEUED):
            await say(bus, f"m{number}", "\u00e4" * (MOST_TEXT // 2))
        with pytest.raises(Conflict):
            await say(bus, "one-more")
        assert await refused(edit(bus, "m0", "\u00e4" * (MOST_TEXT // 2) + "x")) == "MESSAGE_TOO_LONG"
        view = await queue(bus)
        assert len(view.messages) == MOST_QUEUED and all(message.cut for message in view.messages)
        found = await one.inbox.next(JOB)
        assert found and found.text == "\u00e4" * (MOST_TEXT // 2)


async def test_a_message_is_there_for_the_next_look_of_a_carrier(server: NatsServer) -> None:
    async with replicas(server.url, 1) as (one,), caller(server.url) as bus:
        await begun(bus)
        took, idle = [], []
        for number in range(40):
            began = time.perf_counter()
            await say(bus, f"m{number}")
            letter = await one.inbox.next(JOB)
            assert letter
            assert await one.inbox.take(JOB, letter, 1)
            took.append((time.perf_counter() - began) * 1000)
            began = time.perf_counter()
            assert await one.inbox.next(JOB) is None
            idle.append((time.perf_counter() - began) * 1000)
        print(f"said, seen and taken: p50 {statistics.median(took):.1f} ms; a look at an empty inbox: p50 {statistics.median(idle):.2f} ms")
        assert len(took) == 40


async def test_an_agent_that_knows_no_interrupt_is_not_asked_for_one(server: NatsServer) -> None:
    async with replicas(server.url, 1), caller(server.url) as bus:
        await begun(bus, agent="deaf")
        assert await refused(steer(bus, Steer.INTERRUPT)) == "CANNOT_INTERRUPT"
        assert await facts(bus) == []
        await steer(bus, Steer.PAUSE)


async def test_wishes_are_told_with_the_interrupts_in_order(server: NatsServer) -> None:
    async with replicas(server.url, 2) as served, caller(server.url) as bus:
        await begun(bus)
        for id, what in (
            ("w1", Steer.INTERRUPT),
            ("w2", Steer.PAUSE),
            ("w3", Steer.PAUSE),
            ("w4", Steer.INTERRUPT),
            ("w1", Steer.INTERRUPT),
        ):
            await steer(bus, what, id)
        for one in served:
            wishes = await one.inbox.wishes(JOB)
            assert (wishes.paused, wishes.by, [wish.wish_id for wish in wishes.interrupts]) == (True, "ann", ["w1", "w4"])
        later = cast(Job, SimpleNamespace(item=JOB.item.model_copy(update={"attempt": 2})))
        assert (await served[0].inbox.wishes(later)).interrupts == (), "another attempt is not interrupted for what the first did"
        await steer(bus, Steer.RESUME)
        assert not (await served[1].inbox.wishes(JOB)).paused
