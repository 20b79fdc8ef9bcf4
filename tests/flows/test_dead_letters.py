"""The desk of dead letters on a real nats-server: every kind is shown, and tried once more, once, whoever repeats it or dies of it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.campaigns import LONG
from tests.flows import dying
from tests.flows.dispatch_desk import KEY
from tests.flows.ear import always, subscriber
from tests.flows.test_routing import refused
from tests.flows.test_webhooks import Desk as WebhookDesk
from tests.flows.test_webhooks_killed import Relay
from trunkline.auth.principal import HOME
from trunkline.bus import Bus, BusSettings, Stored, connect, delivery
from trunkline.bus.dead import DeadLetter
from trunkline.bus.streams import DEAD, DELIVERIES, EVENTS, TIMERS
from trunkline.contracts import subjects
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.letters import (
    DiscardLetter,
    GetLetter,
    LetterEdit,
    LetterKind,
    LetterPage,
    LetterState,
    LetterView,
    ListLetters,
    RequeueLetter,
    task_of,
)
from trunkline.contracts.message import Command
from trunkline.contracts.record import Record
from trunkline.contracts.run import Phase, PhaseBegan
from trunkline.contracts.schedule import CreateSchedule
from trunkline.contracts.task import Assignment, Reported, ReportTask, SubmitTask, TaskStatus
from trunkline.contracts.views import GetTask, TaskView
from trunkline.contracts.webhook import DeliveryStatus, DeliveryView
from trunkline.runtime.clock import now
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_relay.adapters import delivery_shelf
from trunkline_relay.adapters.delivery_shelf import DeliveryShelf
from trunkline_relay.model.letters import OF_TASKS
from trunkline_relay.settings import Settings
from trunkline_relay.wiring import running
from trunkline_router.settings import Settings as RouterSettings
from trunkline_router.wiring import running as routing

pytestmark = [pytest.mark.flow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]
T = TypeVar("T")
WITHIN = 20.0
POINTS = ("letter_requeued.before_effect", "letter_requeued.after_effect")
RUNS = "approvals-runs"
"""What the approvals service hears, which these tests are."""


@dataclass
class Approvals:
    """Fails at what it is shown for as long as somebody says so."""

    fails: Exception | None = None
    seen: list[int] = field(default_factory=list)

    async def hear(self, stored: Stored) -> None:
        self.seen.append(stored.seq)
        if self.fails:
            raise self.fails


@dataclass
class Desk:
    """Whoever runs the house of one tenant."""

    bus: Bus
    approvals: Approvals
    tenant: str = field(default_factory=lambda: f"t{uuid4().hex[:12]}")

    async def say(self, service: str, model: type[Command], **what: Any) -> dict[str, Any]:
        command = model.model_validate({"tenant": self.tenant, "at": now(), **what})
        return (await self.bus.commands.send(service, "-", command, timeout=WITHIN)).body

    async def failed(self, **asked: Any) -> str:
        """A task that an agent elsewhere gave up."""
        task = uuid4().hex
        assignment = Assignment.model_validate({"type": "deploy", "max_retries": 0, **asked})
        await self.say("router", SubmitTask, task_id=task, assignment=assignment, submitted_by="ann", trace_id="trace-1")
        await self.say("router", ReportTask, task_id=task, reported=Reported.FAILED, by="agent-7", error="no entry")
        return task

    async def task(self, task: str) -> TaskView:
        return TaskView.model_validate(await self.say("relay", GetTask, task=task))

    async def letters(self, **query: Any) -> LetterPage:
        return LetterPage.model_validate(await self.say("relay", ListLetters, **query))

    async def ids(self, **query: Any) -> list[str]:
        return [letter.id for letter in (await self.letters(**query)).letters]

    async def letter(self, id: str) -> LetterView:
        return LetterView.model_validate(await self.say("relay", GetLetter, letter=id))

    async def requeue(self, letter: str, wish: str = "", **edit: Any) -> LetterView:
        changed = LetterEdit.model_validate(edit) if edit else None
        told = await self.say("relay", RequeueLetter, letter=letter, by="root", wish=wish or uuid4().hex, edit=changed)
        return LetterView.model_validate(told)

    async def discard(self, letter: str) -> LetterView:
        told = await self.say("relay", DiscardLetter, letter=letter, by="root", wish=uuid4().hex, reason="long over")
        return LetterView.model_validate(told)

    async def given_up(self, kind: LetterKind, sought: str = "") -> LetterView:
        """The first letter of a kind, as soon as it is there."""

        async def found() -> tuple[LetterView, ...]:
            return (await self.letters(kinds=(kind,), q=sought)).letters

        return (await until(found))[0]

    async def runs(self) -> int:
        """A run begins, of which the approvals service hears."""
        record = Record(at=now(), facts=(PhaseBegan(phase=Phase.AGENT, message="it begins"),))
        subject = subjects.event(TenantId(self.tenant), TaskId(uuid4().hex), "run")
        return await self.bus.log.append(subject, record, expect=0, id=subject)


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """What is looked for, as soon as it is there."""
    async with asyncio.timeout(WITHIN):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module", autouse=True)
def hurried() -> Any:
    """Eight tries in no time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(delivery, "PAUSES", (0.01,) * 7)
        yield


def address(server: NatsServer) -> dict[str, Any]:
    return {"nats_url": server.url, "vault_key": KEY, "webhook_networks_allowed": ("127.0.0.0/8",)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[tuple[Bus, Approvals]]:
    with nats_server() as server:
        known, approvals = address(server), Approvals()
        async with (
            routing(RouterSettings.model_validate({"nats_url": server.url})),
            running(Settings.model_validate(known)),
            connect(BusSettings.model_validate({"nats_url": server.url}), "approvals") as bus,
        ):
            bus.inlet.facts(RUNS, "run", approvals.hear)
            await bus.inlet.start("approvals")
            yield bus, approvals


@pytest.fixture
def desk(house: tuple[Bus, Approvals]) -> Desk:
    bus, approvals = house
    approvals.fails = None
    approvals.seen.clear()
    return Desk(bus, approvals)


async def test_a_failed_task_becomes_another_one_once_edited_and_its_letter_says_so(desk: Desk) -> None:
    payload = {"title": "Ship it.", "where": "north"}
    task = await desk.failed(payload=payload, prompt="Ship it.")
    (shown,) = (await desk.letters()).letters
    assert (shown.id, shown.why, shown.body, shown.state) == (f"task.{task}", "no entry", None, LetterState.OPEN)
    assert (await desk.letter(shown.id)).body["payload"] == payload  # type: ignore[index,call-overload]
    wish = uuid4().hex
    edit = {"payload": {"title": "Ship it south."}, "prompt": "Ship it south.", "repo": "acme/south", "priority": "P1"}
    after = [await desk.requeue(shown.id, wish, **edit) for _ in range(2)]
    assert after[0] == after[1], "the same wish again is the same"
    made = await desk.task(task_of(desk.tenant, shown.id, 1))
    assert after[0].handled and after[0].handled.made == made.task_id
    assert (made.submitted_by, made.trace_id, made.assignment.priority) == ("root", "trace-1", "P1")
    assert made.assignment.payload == {"title": "Ship it south."}
    assert (made.assignment.prompt, made.assignment.repo) == ("Ship it south.", "acme/south")
    assert (await refused(desk.requeue(shown.id))).code == "LETTER_HANDLED"
    assert (await refused(desk.discard(shown.id))).code == "LETTER_HANDLED"
    assert (await desk.ids(state=LetterState.OPEN), await desk.ids(state=LetterState.REQUEUED)) == ([], [shown.id])


async def test_what_the_router_refuses_leaves_the_letter_open_and_says_why(desk: Desk) -> None:
    letter = f"task.{await desk.failed()}"
    assert (await refused(desk.requeue(letter, body={}))).code == "LETTER_NOT_EDITABLE"
    assert (await desk.letter(letter)).handled is None, "nothing is said of what cannot be"
    discarded = await desk.discard(letter)
    assert (discarded.state, discarded.handled and discarded.handled.reason) == (LetterState.DISCARDED, "long over")
    assert (await desk.requeue(letter)).state is LetterState.REQUEUED, "whoever changes their mind may"


async def test_a_trigger_that_began_nothing_is_one_letter_and_not_two(desk: Desk) -> None:
    task = await desk.failed(payload={"n": 1})
    body = base64.b64encode(b"{}").decode()
    letter = DeadLetter(
        consumer="dispatch", stream=EVENTS, seq=0, subject=f"evt.{desk.tenant}.{task}.dispatch", reason="GONE: no such workflow",
        tries=2, body=body,
    )  # fmt: skip
    await desk.bus.dead.keep(letter, TenantId(desk.tenant), task)
    page = await desk.letters()
    assert ([(each.id, each.code, each.why) for each in page.letters], page.total) == (
        [(f"trigger.{task}", "GONE", "no such workflow")],
        1,
    )
    made = (await desk.requeue(f"trigger.{task}", metadata={"by": "hand"})).handled
    assert made and (await desk.task(made.made)).assignment.metadata == {"by": "hand"}


async def test_a_moment_of_a_schedule_that_made_no_task_is_made_up_for(desk: Desk) -> None:
    asked = Assignment(type="deploy", payload={"n": 1}, parent="gone")
    when, id = {"every_s": 3600}, f"sch_{uuid4().hex}"
    made = await desk.say("router", CreateSchedule, schedule_id=id, when=when, assignment=asked, by="ann")
    due = {"tenant": desk.tenant, "schedule": id, "at": made["next_at"]}
    await desk.bus.client.jetstream().publish("due.router.schedule", json.dumps(due).encode())
    letter = await desk.given_up(LetterKind.TRIGGER)
    assert (letter.what, letter.code, letter.editable) == (f"schedule {id}", "PARENT_NOT_FOUND", OF_TASKS)
    assert (await refused(desk.requeue(letter.id))).code == "PARENT_NOT_FOUND"
    assert (await desk.letter(letter.id)).state is LetterState.OPEN


async def test_a_delivery_is_told_again_and_what_it_says_cannot_be_changed(desk: Desk) -> None:
    hooks = WebhookDesk(desk.bus)
    hooks.tenant = desk.tenant
    shelf = DeliveryShelf(desk.bus.ledger(DELIVERIES))
    await shelf.start()
    async with subscriber(always(200)) as ear:
        hook = (await hooks.active(ear.url, "task.created")).webhook.id
        id, at = f"dlv_{'a' * 40}", datetime.now(UTC) - timedelta(hours=1)
        dead = DeliveryView(
            status=DeliveryStatus.DEAD, id=id, hook_id=hook, tenant=desk.tenant, type="task.created", event="", task_id="t1",
            body='{"type": "task.created", "data": {"task_id": "t1"}}', tries=10, problem="ten tries failed", created_at=at, begun_at=at,
            ended_at=at,
        )  # fmt: skip
        await shelf.append(dead, 0)
        (shown,) = (await desk.letters(kinds=(LetterKind.WEBHOOK,))).letters
        assert (shown.id, shown.why) == (f"webhook.{hook}.{id}", "ten tries failed")
        assert (await desk.letter(shown.id)).body == {"type": "task.created", "data": {"task_id": "t1"}}
        assert (await refused(desk.requeue(shown.id, body={"type": "job.done"}))).code == "LETTER_NOT_EDITABLE"
        await desk.requeue(shown.id)
        (taken,) = await hooks.ended(hook, DeliveryStatus.DELIVERED)
        assert (taken.id, taken.round, [came.id for came in ear.came if came.id == id]) == (id, 1, [id])
        assert await desk.ids(kinds=(LetterKind.WEBHOOK,)) == []
        assert (await desk.letter(shown.id)).state is LetterState.REQUEUED


async def test_many_deliveries_that_arrived_hide_no_letter_and_are_not_all_looked_at_for_a_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = f"task.{await desk.failed()}"
    shelf = DeliveryShelf(desk.bus.ledger(DELIVERIES))
    await shelf.start()
    for number in range(40):
        arrived = DeliveryView(
            status=DeliveryStatus.DELIVERED, id=f"dlv_{number:040}", hook_id="wh_1", tenant=desk.tenant, type="task.created", event="",
            task_id="t1", body="{}", created_at=now(), begun_at=now(),
        )  # fmt: skip
        await shelf.append(arrived, 0)
    newer = f"task.{await desk.failed()}"
    for bound, least in (("FIRST_WINDOW", 1), ("DENSE", 1), ("MOST_LOOKED_AT", 3)):
        monkeypatch.setattr(delivery_shelf, bound, least)
    first = await desk.letters()
    assert ([letter.id for letter in first.letters], first.total) == ([newer], None), "it is newer than all that was looked at"
    page, seen = first, list[str]()
    while page.next:
        page = await desk.letters(after=page.next)
        seen += [letter.id for letter in page.letters]
    assert seen == [older]


async def test_a_timer_that_nobody_can_read_is_mended_and_set_free_again(desk: Desk) -> None:
    at_home = Desk(desk.bus, desk.approvals, HOME)
    js = desk.bus.client.jetstream()
    await js.publish("due.router.retry", b'{"nonsense": true}')
    letter = await at_home.given_up(LetterKind.MESSAGE, "due-router-retry")
    assert letter.tries == delivery.TRIES
    assert (await at_home.letter(letter.id)).body == {"nonsense": True}
    assert (await refused(desk.letter(letter.id))).code == "LETTER_NOT_FOUND", "what is nobody's is the house's own"
    assert (await refused(at_home.requeue(letter.id))).code == "BAD_LETTER_BODY"
    assert (await refused(at_home.requeue(letter.id, body={"tenant": "acme"}))).code == "BAD_LETTER_BODY"
    mended = {"tenant": desk.tenant, "task": uuid4().hex, "attempt": 1}
    handled = (await at_home.requeue(letter.id, body=mended)).handled
    assert handled and handled.made.startswith(f"{TIMERS} ")
    assert handled.edit and handled.edit.body == mended

    seq = int(handled.made.partition(" ")[2])

    async def taken() -> bool:
        due = await js.consumer_info(TIMERS, "due-router-retry")
        return not due.num_pending and not due.num_ack_pending and (due.delivered is not None) and due.delivered.stream_seq >= seq

    await until(taken)


async def test_a_fact_is_shown_to_its_handler_again_and_never_said_twice(desk: Desk) -> None:
    desk.approvals.fails = ValueError("I cannot count that far")
    seq = await desk.runs()
    letter = await desk.given_up(LetterKind.MESSAGE)
    assert (letter.id, letter.editable) == (f"message.{RUNS}.{seq}", ())
    assert (await refused(desk.requeue(letter.id))).code == "LETTER_FAILS_STILL"
    still = await desk.letter(letter.id)
    assert still.handled and (still.state, still.handled.problem) == (
        LetterState.OPEN,
        "it fails still: ValueError: I cannot count that far",
    )
    desk.approvals.fails, before = None, len(desk.approvals.seen)
    taken = await desk.requeue(letter.id)
    assert taken.handled and (taken.state, taken.handled.made, taken.handled.count) == (LetterState.REQUEUED, "taken", 2)
    assert desk.approvals.seen[before:] == [seq]
    assert await desk.bus.log.last_seq() == seq, "it happened once"


async def test_pages_of_all_kinds_together_show_each_letter_once_the_newest_first(desk: Desk) -> None:
    other = Desk(desk.bus, desk.approvals)
    await other.failed()
    desk.approvals.fails = ValueError("no")
    tasks = [f"task.{await desk.failed()}" for _ in range(3)]
    await desk.runs()
    message = (await desk.given_up(LetterKind.MESSAGE)).id
    tasks.append(f"task.{await desk.failed()}")
    seen, after = list[str](), None
    while True:
        page = await desk.letters(limit=2, after=after)
        seen, after = seen + [letter.id for letter in page.letters], page.next
        assert page.total == 5
        if after is None:
            break
    assert seen == [tasks[3], message, *reversed(tasks[:3])]
    assert (await desk.letters(limit=2, kinds=(LetterKind.TASK,))).total == 4
    assert (await desk.letters(limit=1, q="no entry")).total == 4, "each is looked at"
    await desk.discard(tasks[0])
    assert [(await desk.letters(limit=1, state=state)).total for state in (LetterState.OPEN, LetterState.DISCARDED)] == [4, 1]
    assert await desk.ids(q=tasks[0][-12:]) == [tasks[0]]
    assert await desk.ids(since=now()) == []
    assert (await refused(desk.letters(after="x"))).code == "BAD_CURSOR"
    assert (await refused(other.requeue(tasks[0]))).code == "LETTER_NOT_FOUND"


async def test_a_failure_that_is_said_is_no_death_however_often(desk: Desk) -> None:
    desk.approvals.fails = Unavailable("not now", code="AWAY")
    seq = await desk.runs()

    async def tried() -> bool:
        return desk.approvals.seen.count(seq) > delivery.TRIES + 4

    await until(tried)
    assert await desk.ids() == []
    desk.approvals.fails = None


@pytest.mark.kill
async def test_a_relay_that_dies_of_requeueing_has_it_done_once(tmp_path: Path) -> None:
    with nats_server() as server:
        relay = Relay(server, tmp_path)
        async with (
            routing(RouterSettings.model_validate({"nats_url": server.url})),
            connect(BusSettings.model_validate({"nats_url": server.url}), "test") as bus,
            killed_at_last(relay),
        ):
            one, js = Desk(bus, Approvals()), bus.client.jetstream()
            known = (await js.consumer_info(DEAD, "relay-letters")).config
            await js.add_consumer(DEAD, known.evolve(ack_wait=0.5))  # it is known sooner that the relay is dead
            for point in POINTS if LONG else POINTS[:1]:
                letter, wish = f"task.{await one.failed()}", uuid4().hex
                await one.letter(letter)
                relay.arm(point)
                asking = asyncio.create_task(one.requeue(letter, wish))
                await asyncio.to_thread(relay.process.wait, WITHIN)
                asking.cancel()
                await relay.start()
                await carried_out(one, letter)
                made = task_of(one.tenant, letter, 1)
                assert (await one.task(made)).status is not TaskStatus.FAILED
                again = await one.requeue(letter, wish)
                assert again.handled and (again.handled.made, again.handled.count) == (made, 1)


async def carried_out(one: Desk, letter: str) -> None:
    """Nobody asks for it again: whoever comes after the dead does it."""

    async def done() -> bool:
        handled = (await one.letter(letter)).handled
        return handled is not None and handled.done

    await until(done)


@asynccontextmanager
async def killed_at_last(relay: Relay) -> AsyncIterator[None]:
    await relay.start()
    try:
        yield
    finally:
        await relay.stop()


async def test_a_message_that_kills_every_process_that_carries_it_ends_in_one_letter(house: tuple[Bus, Approvals]) -> None:
    with nats_server() as server:
        async with connect(BusSettings.model_validate({"nats_url": server.url}), "test") as bus:
            js = bus.client.jetstream()
            known = (await js.consumer_info(EVENTS, RUNS)).config
            await js.add_consumer(EVENTS, known.evolve(ack_wait=0.3))
            subject = subjects.event(TenantId("acme"), TaskId("t1"), "run")
            deadly = Record(at=now(), cause=dying.DEADLY.decode(), facts=(PhaseBegan(phase=Phase.AGENT, message="it begins"),))
            seq = await bus.log.append(subject, deadly, expect=0, id="deadly")
            words = (sys.executable, "-m", "tests.flows.dying", server.url)
            carriers = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, start_new_session=True)
            try:
                letter = await in_the_end(bus, f"dead.{RUNS}.acme.{seq}")
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(carriers.pid, signal.SIGKILL)
            said = [line for line in (await carriers.communicate())[0].splitlines() if line.lstrip(b"-").isdigit()]
            assert set(said) == {b"-9"} and len(said) <= delivery.TRIES, "each of them died of it"
            assert letter.reason.startswith("it ended whoever carried it, 3 times in a row")
            assert (await js.consumer_info(EVENTS, RUNS)).num_ack_pending == 0, "it is not handed out any more"


async def in_the_end(bus: Bus, subject: str) -> DeadLetter:
    ledger = bus.ledger("DEAD")
    await ledger.start()
    stored = await until(lambda: ledger.last(subject))
    return DeadLetter.model_validate_json(stored.body)
