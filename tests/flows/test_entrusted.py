"""What the carrier of a run makes of a handle: the token, known to what strikes secrets; or a clear end, where it cannot be had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from trunkline.bus import Bus, BusSettings, Stored, WorkItem, connect, vault_key
from trunkline.contracts import subjects
from trunkline.contracts.errors import Denied
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import AgentOutput, Said
from trunkline.contracts.steering import InboxClosed, SayToAgent
from trunkline.contracts.task import (
    Assignment,
    Executor,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskRetryScheduled,
    TaskSubmitted,
    TaskSucceeded,
)
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.telemetry.redaction import Redactor, spellings
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.handlers.answer_inbox import AnswerInbox
from trunkline_sandbox.handlers.entrust import Entrust
from trunkline_sandbox.handlers.inbox import Inbox, Inboxes
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.handlers.stop_unclaimed import StopUnclaimed
from trunkline_sandbox.handlers.world import Job
from trunkline_sandbox.model import Skill
from trunkline_sandbox.model.inbox import decide, evolve
from trunkline_sandbox.subscriptions import Answers, subscribe

pytestmark = pytest.mark.flow

KEY = vault_key("a key of thirty-two characters, or more")
OTHER = vault_key("another key of thirty-two characters, or more")
ACME = TenantId("acme")
TOKEN = "odd.looking.token.of.no.known.shape"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "test") as bus:
        yield bus


def job(bus: Bus, credential: str | None = "", tenant: str = ACME) -> Job:
    task = new_id()
    item = WorkItem(tenant=tenant, task=task, attempt=1, pool="dev", priority="P2")
    handle = task if credential == "" else credential
    return Job(item, Assignment(repo="acme/shop", prompt="Fix it.", credential=handle), RunLog(bus.log, item, now))


async def test_the_run_has_its_token_and_stores_nothing_of_it(bus: Bus) -> None:
    asked = job(bus)
    await bus.vault(KEY).put(ACME, asked.item.task, TOKEN)
    entrusted = await Entrust(bus.vault(KEY), Redactor())(asked)
    assert (entrusted.access.token, entrusted.access.repo) == (TOKEN, "acme/shop")
    assert TOKEN not in repr(entrusted)
    assert entrusted.log is asked.log

    said = " ".join(sorted(spellings(TOKEN)))
    await asked.log.say([AgentOutput(attempt=1, line=1, kind=Said.MESSAGE, text=said, display=said)])
    found = await bus.log.last(subjects.event(ACME, TaskId(asked.item.task), "output"))
    assert found is not None
    stored = found.record.model_dump_json()
    assert [spelling for spelling in spellings(TOKEN) if spelling in stored] == []


async def test_what_people_say_to_its_agent_is_cleaned_of_it_too(bus: Bus) -> None:
    asked, other = job(bus), job(bus, None)
    await bus.vault(KEY).put(ACME, asked.item.task, TOKEN)
    for key, of, said in ((KEY, asked, "use [redacted:github-token]"), (KEY, other, f"use {TOKEN}"), (b"", asked, f"use {TOKEN}")):
        knowing = await Entrust(bus.vault(key), Redactor()).knowing(ACME, of.item.task, of.assignment)
        assert knowing.text(f"use {TOKEN}") == said


async def test_a_run_without_a_token_is_left_as_it_is(bus: Bus) -> None:
    asked = job(bus, None)
    assert await Entrust(bus.vault(b""), Redactor())(asked) is asked


@pytest.mark.parametrize("why", ["never there", "another key", "no key", "another tenant's", "another task's"])
async def test_a_token_that_cannot_be_had_ends_the_run_and_says_what_to_do(bus: Bus, why: str) -> None:
    asked = job(bus, tenant="globex" if why == "another tenant's" else ACME)
    if why == "another task's":
        theirs = new_id()
        asked = job(bus, theirs)
        await bus.vault(KEY).put(ACME, theirs, TOKEN)
    elif why != "never there":
        await bus.vault(KEY).put(ACME, asked.item.task, TOKEN)
    key = {"another key": OTHER, "no key": b""}.get(why, KEY)
    with pytest.raises(Denied, match="TRUNKLINE_VAULT_KEY") as refused:
        await Entrust(bus.vault(key), Redactor())(asked)
    assert refused.value.code == "FORGE_CREDENTIAL"


@pytest.mark.parametrize(
    ("fact", "kept"),
    [
        (TaskSucceeded(), False),
        (TaskFailed(code="DEADLINE", error="Its time was up."), False),
        (TaskCancelled(by="ann", reason=""), False),
        (TaskAssigned(pool="dev", attempt=2), True),
        (TaskRetryScheduled(attempt=2, due_at=NOON, code="AGENT_CRASHED", reason="It crashed."), True),
    ],
    ids=lambda value: getattr(value, "type", value),
)
async def test_it_is_forgotten_when_the_task_is_over_and_not_before(bus: Bus, fact: Fact, kept: bool) -> None:
    task = new_id()
    await bus.vault(KEY).put(ACME, task, TOKEN)
    body = Record(at=NOON, cause="test", facts=(fact,)).model_dump_json().encode()
    news = Stored(1, subjects.event(ACME, TaskId(task), "task"), body)
    for _ in range(2):
        await Entrust(bus.vault(b""), Redactor()).over(news)
    assert await bus.vault(KEY).get(ACME, task) == (TOKEN if kept else None)


@asynccontextmanager
async def hearing(server: NatsServer) -> AsyncIterator[None]:
    """A sandbox service, as far as it hears of tasks and their messages."""
    async with connect(BusSettings(nats_url=server.url), "sandbox") as bus:
        inboxes: Inboxes = Actor(bus.log, decide, evolve)
        entrust = Entrust(bus.vault(b""), Redactor())
        steering = AnswerInbox(inboxes, bus.log, entrust.knowing, lambda _: Skill())
        nobody = cast(Any, SimpleNamespace(answer=None, due=None))
        stop = StopUnclaimed(bus.log, now, cast(Any, None))
        subscribe(bus.inlet, Answers(stop, nobody, steering, Inbox(inboxes, bus.log, now), nobody, entrust))
        await bus.inlet.start("sandbox")
        yield


async def said(bus: Bus, task: str, *facts: Fact, after: int = 0) -> int:
    return await bus.log.append(_place(task, "task"), Record(at=now(), cause="test", facts=facts), expect=after, id=new_id())


async def begun(bus: Bus, executor: Executor, credential: str | None, task: str) -> int:
    asked = Assignment(repo="acme/shop", executor=executor, credential=credential)
    return await said(
        bus, task, TaskSubmitted(assignment=asked, submitted_by="ann", deadline_at=now()), TaskAssigned(pool="dev", attempt=1)
    )


async def over(bus: Bus, *tasks: tuple[str, int]) -> None:
    for task, last in tasks:
        await said(bus, task, TaskCancelled(by="ann", reason=""), after=last)


async def newest(bus: Bus, task: str, part: str) -> Fact | None:
    found = await bus.log.last(_place(task, part))
    return found.record.facts[-1] if found else None


async def until(so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await so():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.02)


def _place(task: str, part: str) -> str:
    return subjects.event(ACME, TaskId(task), part)


@pytest.mark.parametrize("anew", [False, True], ids=["by who heard of its beginning", "by who did not"])
async def test_what_a_task_leaves_is_put_away_when_it_is_over(bus: Bus, server: NatsServer, anew: bool) -> None:
    ours, theirs = new_id(), new_id()

    async def heard() -> bool:
        found = await bus.client.jetstream().consumer_info("EVENTS", "sandbox-tasks")
        return bool(found.ack_floor and found.ack_floor.stream_seq >= last)

    async def put_away() -> bool:
        return await bus.vault(KEY).get(ACME, ours) is None and await newest(bus, ours, "inbox") == InboxClosed(attempt=1)

    async with hearing(server):
        await bus.vault(KEY).put(ACME, ours, TOKEN)
        seq = await begun(bus, Executor.SANDBOX, ours, ours)
        last = await begun(bus, Executor.BUS, None, theirs)
        await bus.commands.send("sandbox", ours, SayToAgent(tenant=ACME, at=now(), task_id=ours, by="ann", message_id="a", text="and test"))
        await until(heard)
        if not anew:
            await over(bus, (theirs, last), (ours, seq))
            await until(put_away)
    if anew:
        async with hearing(server):
            await over(bus, (theirs, last), (ours, seq))
            await until(put_away)
