"""What the carrier of a run makes of a handle: the token, known to what strikes secrets; or a clear end, where it cannot be had."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from trunkline.bus import Bus, BusSettings, Stored, WorkItem, connect, vault_key
from trunkline.contracts import subjects
from trunkline.contracts.errors import Denied
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import AgentOutput, Said
from trunkline.contracts.task import Assignment, TaskAssigned, TaskCancelled, TaskFailed, TaskRetryScheduled, TaskSucceeded
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.telemetry.redaction import Redactor, spellings
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_sandbox.handlers.entrust import Entrust
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.handlers.world import Job

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
