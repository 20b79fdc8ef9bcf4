"""Runs that are put aside: handed out once whoever looks, ended when they wait for too long, and what people say to them meanwhile."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.flows.carried import TENANT, Box, Carried, Program, about, carrying
from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.contracts.record import Record
from trunkline.contracts.run import AgentInterrupted, ApprovalWanted, RunClaimed, RunFailed, RunGoesOn, RunParked, RunSucceeded, RunWoken
from trunkline.contracts.steering import MessageReturned, MessageTaken, SayToAgent, Steer, SteerRun
from trunkline.contracts.task import TaskAssigned
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.handlers import converse
from trunkline_sandbox.handlers.inbox import Inbox
from trunkline_sandbox.handlers.wake import LookDue, Wake, Wakers
from trunkline_sandbox.handlers.wires import Wires
from trunkline_sandbox.handlers.world import World
from trunkline_sandbox.model import Ask, Run
from trunkline_sandbox.model import inbox as inbox_model
from trunkline_sandbox.model.rules import Rules
from trunkline_sandbox.ports import Exit
from trunkline_sandbox.wiring import serving

pytestmark = [pytest.mark.flow, pytest.mark.timeout(90)]
SHORT = 0.1


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


@asynccontextmanager
async def speaking(url: str) -> AsyncIterator[Bus]:
    async with connect(BusSettings.model_validate({"nats_url": url}), "test") as bus:
        yield bus


@asynccontextmanager
async def replicas(url: str, world: World, count: int, hands: int = 1) -> AsyncIterator[list[Bus]]:
    """On one machine: they share its sandboxes."""
    async with AsyncExitStack() as stack:
        buses = []
        for _ in range(count):
            buses.append(await stack.enter_async_context(connect(BusSettings.model_validate({"nats_url": url}), "sandbox")))
            await stack.enter_async_context(serving(buses[-1], world, hands))
        yield buses


async def asks_once(program: Program, box: Box) -> None:
    await program.say(type="session", id="s1")
    if "resume" not in program.task and (await program.ask("c1", command="make"))["type"] == "close":
        return
    await program.say(type="turn_over", summary="done")
    while (await program.hear())["type"] != "close":
        pass


async def parked(server: NatsServer, world: World) -> str:
    """A task whose run is put aside, with nobody there to look after it."""
    async with carrying(server.url, world) as job:
        await job.until(RunParked)
        return job.task


async def forgets_soon(bus: Bus) -> None:
    """As nats-server does after ten minutes: it knows no repeat any more."""
    js = bus.client.jetstream()
    config = (await js.stream_info("WORK")).config
    config.duplicate_window = 0.1
    await js.update_stream(config)


async def put_so_far(bus: Bus) -> int:
    return int((await bus.client.jetstream().stream_info("WORK")).state.messages)


def looking(bus: Bus, world: World) -> Wake:
    """One replica whose hands are busy for ever: it looks after what is put aside, and takes nothing."""
    inbox = Inbox(Actor(bus.log, inbox_model.decide, inbox_model.evolve), bus.log, now)
    unused: Any = None

    async def clear(task: str, run: Run) -> None: ...

    return Wake(Wires(bus.log, bus.nudges, inbox, unused, unused), Wakers(bus.work, bus.timers, now, clear, world.park_s, world.keeps))


async def test_what_waits_for_a_hand_is_handed_out_once_by_each_replica_and_taken_up_once(server: NatsServer, tmp_path: Path) -> None:
    may_end = asyncio.Event()

    async def lasts(program: Program, box: Box) -> None:
        if "resume" in program.task:
            await may_end.wait()
        await asks_once(program, box)

    world = about(Box(lasts), tmp_path, hold_s=SHORT)
    task = await parked(server, world)
    due = LookDue(tenant=TENANT, task=task, attempt=1, round=1)
    async with speaking(server.url) as bus:
        job = Carried(bus, task)
        await forgets_soon(bus)
        await job.allow(await job.until(ApprovalWanted))
        wakes = [looking(bus, world) for _ in range(2)]
        for wake in (wakes[0], *wakes, *wakes):
            await wake.look(due)
            await asyncio.sleep(0.3)
        assert await put_so_far(bus) == 2, "each replica hands it out once, however often it looks"

        async with replicas(server.url, world, 2):
            await job.until(RunWoken)
            async with asyncio.timeout(30):
                while await put_so_far(bus) > 1:  # noqa: ASYNC110 - the stream is looked at, nobody tells
                    await asyncio.sleep(0.05)
            may_end.set()  # the copy was taken and dropped while the run went on
            await job.until(RunSucceeded)
        assert len(await job.of(RunWoken)) == 1
        assert len(await job.of(RunClaimed)) == 2, "nobody took it from the one that carried it"


async def test_a_run_that_waits_longer_than_anybody_should_ends_and_leaves_nothing(server: NatsServer, tmp_path: Path) -> None:
    moved, box = [timedelta()], Box(asks_once)
    world = about(box, tmp_path, hold_s=SHORT, park_s=30 * 86400.0, now=lambda: now() + moved[0])
    task = await parked(server, world)
    moved[0] = timedelta(days=29)
    async with speaking(server.url) as bus:
        job = Carried(bus, task)
        async with replicas(server.url, world, 1):
            await asyncio.sleep(1)
            assert await job.of(RunFailed) == [] and box.sandboxes
        moved[0] = timedelta(days=31)
        async with replicas(server.url, world, 2):
            failed = await job.until(RunFailed)
            assert (failed.code, failed.recoverable) == ("WAITED_TOO_LONG", False)
            assert "30 days" in failed.error and "tool_call" in failed.error
            async with asyncio.timeout(15):
                while box.sandboxes:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)


async def says(job: Carried, id: str, text: str) -> None:
    await job.bus.commands.send("sandbox", job.task, SayToAgent(message_id=id, text=text, **_about(job)))


async def steers(job: Carried, what: Steer) -> None:
    await job.bus.commands.send("sandbox", job.task, SteerRun(wish_id=new_id(), steer=what, **_about(job)))


def _about(job: Carried) -> dict[str, Any]:
    return {"tenant": TENANT, "at": now(), "task_id": job.task, "by": "ann"}


async def test_what_the_first_attempt_was_told_the_second_is_told_too_and_once(server: NatsServer, tmp_path: Path) -> None:
    told: dict[str, list[str]] = {}

    async def hears(program: Program, box: Box) -> None:
        heard = told.setdefault(program.launch.key, [])
        await program.say(type="session", id="s1")
        while (said := await program.hear())["type"] == "message":
            heard.append(said["text"])
            await program.say(type="heard", id=said["id"])
            if said["text"] == "fall" and len(told) == 1:
                await program.end(Exit(None, 9, "memory"))
                return
            if said["text"] == "done":
                await program.say(type="turn_over", summary="done")

    async with carrying(server.url, about(Box(hears), tmp_path, rules=Rules())) as job:
        for id, text in (("m1", "use tabs"), ("m2", "and tests"), ("m3", "fall")):
            await says(job, id, text)
        await job.until(RunFailed)
        last = await job.bus.log.last(job.subject("task"))
        assert last
        record = Record(at=now(), cause="test", facts=(TaskAssigned(pool="dev", attempt=2),))
        await job.bus.log.append(job.subject("task"), record, expect=last.seq, id=new_id())
        await says(job, "m4", "done")
        await job.bus.work.put(WorkItem(tenant=TENANT, task=job.task, attempt=2, pool="dev", priority="P2"))
        await job.until(RunSucceeded)
        assert list(told.values()) == [["use tabs", "and tests", "fall"], ["use tabs", "and tests", "fall", "done"]]
        assert [one.message_id for one in await job.of(MessageReturned, "inbox")] == ["m1", "m2", "m3"]
        taken = [(one.message_id, one.attempt) for one in await job.of(MessageTaken, "inbox")]
        assert taken[3:] == [("m1", 2), ("m2", 2), ("m3", 2), ("m4", 2)]


async def test_a_resume_lets_an_interrupted_agent_go_on(server: NatsServer, tmp_path: Path) -> None:
    told: list[str] = []

    async def rests(program: Program, box: Box) -> None:
        await program.say(type="session", id="s1")
        while (said := await program.hear())["type"] != "close":
            told.append(said.get("text", said["type"]))
            if said["type"] == "message":
                await program.say(type="heard", id=said["id"])
            await program.say(type="turn_over", summary="done")

    async with carrying(server.url, about(Box(rests), tmp_path, rules=Rules())) as job:
        await steers(job, Steer.INTERRUPT)
        await job.until(AgentInterrupted)
        await asyncio.sleep(1.5)
        assert await job.of(RunGoesOn) == [], "it rests"
        await steers(job, Steer.RESUME)
        await job.until(RunSucceeded)
        assert told == ["interrupt", "Go on where you stopped."]
        assert len(await job.of(RunGoesOn)) == 1


async def test_what_an_agent_lost_by_an_interrupt_it_is_told_once_more(
    server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codex drops what it has not read yet when it is interrupted."""
    monkeypatch.setattr(converse, "UNSEEN_S", SHORT)
    told: list[str] = []

    async def drops(program: Program, box: Box) -> None:
        await program.say(type="session", id="s1")
        while "interrupt" not in told:
            told.append((said := await program.hear()).get("text", said["type"]))
        await program.say(type="turn_over", summary="interrupted")
        while (said := await program.hear())["type"] == "message":
            told.append(said["text"])
            await program.say(type="heard", id=said["id"])
            await program.say(type="turn_over", summary="done")

    async with carrying(server.url, about(Box(drops), tmp_path, rules=Rules())) as job:
        await says(job, "m1", "use tabs")
        await job.until(MessageTaken, part="inbox")
        await steers(job, Steer.INTERRUPT)
        await job.until(AgentInterrupted)
        await steers(job, Steer.RESUME)
        await job.until(RunSucceeded)
        assert told == ["use tabs", "interrupt", "Meanwhile somebody said: use tabs", "Go on where you stopped."]


async def test_an_interrupted_agent_that_was_put_aside_goes_on_when_it_is_resumed(server: NatsServer, tmp_path: Path) -> None:
    prompts: list[str] = []

    async def rests(program: Program, box: Box) -> None:
        prompts.append(program.task["text"])
        await program.say(type="session", id="s1")
        if "resume" in program.task:
            await program.say(type="turn_over", summary="done")
        while (await program.hear())["type"] != "close":
            await program.say(type="turn_over", summary="done")

    async with carrying(server.url, about(Box(rests), tmp_path, rules=Rules(), hold_s=SHORT)) as job:
        await steers(job, Steer.INTERRUPT)
        await job.until(RunParked)
        await steers(job, Steer.RESUME)
        await job.until(RunSucceeded)
        assert "Go on where you stopped." in prompts[-1]
        assert "nobody refused it" in prompts[-1], "an agent tells its model that people rejected what was ended with it"
        assert len(await job.of(RunGoesOn)) == 1


async def test_what_was_answered_is_not_kept_in_memory(server: NatsServer, tmp_path: Path) -> None:
    """An input may be as large as a line."""
    asked, counted = asyncio.Event(), asyncio.Event()

    async def asks_much(program: Program, box: Box) -> None:
        await program.say(type="session", id="s1")
        for number in range(50):
            await program.ask(f"c{number}", command=f"make {number}")
            await program.say(type="tool_result", id=f"c{number}", output="ran")
        asked.set()
        await counted.wait()

    async with carrying(server.url, about(Box(asks_much), tmp_path, rules=Rules())) as job:
        async with asyncio.timeout(30):
            await asked.wait()
            while alive() > 3:  # noqa: ASYNC110 - the memory is looked at
                await asyncio.sleep(0.1)
        counted.set()
        await job.until(RunSucceeded)


def alive() -> int:
    gc.collect()
    return sum(isinstance(one, Ask) and str(one.input.get("command")).startswith("make ") for one in gc.get_objects())
