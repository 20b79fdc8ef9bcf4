"""Webhooks on a real nats-server: what happened reaches whoever asked for it, signed, once kept however often it is heard of."""

from __future__ import annotations

import asyncio
import base64
import hmac
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from tests.flows.ear import Came, always, subscriber
from tests.unit.relay.timelines import line, submitted
from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts.errors import Conflict, Invalid, NotFound, Unsupported
from trunkline.contracts.message import Command, Fact
from trunkline.contracts.task import TaskAssigned, TaskFailed, TaskStarted, TaskSucceeded
from trunkline.contracts.webhook import (
    ChangeWebhook,
    DeleteWebhook,
    DeliveryPage,
    DeliveryStatus,
    DeliveryView,
    DisabledBy,
    GetDelivery,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    Redelivered,
    RedeliverMany,
    RegisterWebhook,
    RotateSecret,
    VerifyWebhook,
    WebhookMade,
    WebhookPage,
    WebhookStatus,
    WebhookView,
)
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_relay.handlers import show_webhooks
from trunkline_relay.settings import Settings
from trunkline_relay.wiring import running

pytestmark = pytest.mark.flow
KEY = "a key of thirty-two characters, or more"


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


def settings(server: NatsServer, **more: Any) -> Settings:
    known = {"nats_url": server.url, "vault_key": KEY, "webhook_networks_allowed": ("127.0.0.0/8",), "public_url": "http://here"}
    return Settings.model_validate({**known, **more})


class Desk:
    """A tenant of its own, so that tests on one server do not meet."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.tenant = f"t{uuid4().hex[:12]}"
        self._ends: dict[str, int] = {}

    async def say(self, model: type[Command], **what: Any) -> dict[str, Any]:
        command = model.model_validate({"tenant": self.tenant, "at": datetime.now(UTC), **what})
        return (await self.bus.commands.send("relay", what.get("hook_id", "-"), command)).body

    async def register(self, url: str, *events: str, **more: Any) -> WebhookMade:
        what = {"hook_id": f"wh_{uuid4().hex}", "url": url, "events": events or ("*",), "owner": "ann", "surface": "orchestrator"}
        return WebhookMade.model_validate(await self.say(RegisterWebhook, **{**what, "own_only": False, **more}))

    async def active(self, url: str, *events: str, **more: Any) -> WebhookMade:
        made = await self.register(url, *events, **more)
        await self.standing(made.webhook.id, WebhookStatus.ACTIVE)
        return made

    async def standing(self, hook_id: str, status: WebhookStatus) -> WebhookView:
        return await self.until(hook_id, lambda view: view.status is status)

    async def until(self, hook_id: str, stands: Callable[[WebhookView], bool]) -> WebhookView:
        async with asyncio.timeout(30):
            while True:
                view = WebhookView.model_validate(await self.say(GetWebhook, hook_id=hook_id))
                if stands(view):
                    return view
                await asyncio.sleep(0.02)

    async def happens(self, task: str, *facts: Fact, part: str = "task") -> int:
        entry = line(0, task, part, *facts, tenant=self.tenant)
        end = self._ends.get(entry.subject, 0)
        seq = await self.bus.log.append(entry.subject, entry.record, expect=end, id=f"{entry.subject}-{end}")
        self._ends[entry.subject] = seq
        return seq

    async def deliveries(self, hook_id: str, **more: Any) -> DeliveryPage:
        return DeliveryPage.model_validate(await self.say(ListDeliveries, hook_id=hook_id, **more))

    async def ended(self, hook_id: str, status: DeliveryStatus, count: int = 1) -> tuple[DeliveryView, ...]:
        async with asyncio.timeout(30):
            while True:
                page = await self.deliveries(hook_id, statuses=(status,), limit=100)
                if len(page.deliveries) >= count:
                    return page.deliveries
                await asyncio.sleep(0.02)

    async def stuck(self, hook_id: str) -> DeliveryView:
        """One that was put off."""
        async with asyncio.timeout(30):
            while True:
                page = await self.deliveries(hook_id, statuses=(DeliveryStatus.PENDING,), limit=100)
                if found := [delivery for delivery in page.deliveries if delivery.put_off]:
                    return found[0]
                await asyncio.sleep(0.02)


@asynccontextmanager
async def desk(server: NatsServer) -> AsyncIterator[Desk]:
    async with connect(BusSettings.model_validate({"nats_url": server.url}), "test") as bus:
        yield Desk(bus)


@asynccontextmanager
async def at_work(server: NatsServer, **more: Any) -> AsyncIterator[Desk]:
    async with running(settings(server, **more)), desk(server) as one:
        yield one


def signed(came: Came, secret: str) -> bool:
    """As any library of Standard Webhooks checks it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{came.id}.{came.headers['webhook-timestamp']}.".encode() + came.body
    mark = "v1," + base64.b64encode(hmac.new(key, text, "sha256").digest()).decode()
    return mark in came.headers["webhook-signature"].split(" ")


async def test_what_happened_reaches_whoever_asked_for_it_signed_and_is_listed(server: NatsServer) -> None:
    async with at_work(server) as one, subscriber() as ear:
        made = await one.active(ear.url + "/in", "job.completed", "task.failed")
        await one.happens("t1", submitted("ann"))
        await one.happens("t1", TaskAssigned(pool="dev", attempt=1), TaskStarted(attempt=1))
        seq = await one.happens("t1", TaskSucceeded())

        (came,) = await ear.heard(1)

        assert came.type == "job.completed"
        assert came.told["data"]["task_id"] == "task_t1"
        assert came.told["data"]["event_id"] == f"{one.bus.epoch}-{seq}"
        assert came.told["data"]["links"]["task"] == "http://here/tasks/task_t1"
        assert signed(came, made.secret)
        (told,) = await one.ended(made.webhook.id, DeliveryStatus.DELIVERED)
        assert (told.id, told.tries, told.body) == (came.id, 1, came.body.decode())
        assert told.answer is not None
        assert (told.answer.status, told.answer.body) == (200, "thanks")
        assert "webhook-signature" not in told.headers
        assert await one.say(GetDelivery, hook_id=made.webhook.id, delivery_id=told.id) == told.model_dump(mode="json")


async def test_nobody_is_told_before_the_challenge_comes_back(server: NatsServer) -> None:
    async with at_work(server) as one, subscriber() as ear:
        ear.verifies = False
        made = await one.register(ear.url)
        assert made.webhook.status is WebhookStatus.PENDING
        view = await one.until(made.webhook.id, lambda view: bool(view.problem))
        await one.happens("t1", submitted())

        assert "challenge" in view.problem
        assert signed(ear.asked[0], made.secret)
        assert (await one.deliveries(made.webhook.id)).deliveries == ()
        assert ear.came == []


async def test_a_webhook_of_one_submitter_hears_of_its_own_tasks_only_and_no_tenant_hears_of_anothers(server: NatsServer) -> None:
    async with at_work(server) as one, desk(server) as other, subscriber() as ear, subscriber() as wide:
        await one.active(ear.url, "*", owner="ann", own_only=True)
        await one.active(wide.url, "task.created", own_only=False)
        await other.happens("t9", submitted("ann"))
        await one.happens("t1", submitted("ben"))
        await one.happens("t2", submitted("ann"))
        await one.happens("t2", TaskSucceeded())

        assert sorted(came.told["data"]["task_id"] for came in await wide.heard(2)) == ["task_t1", "task_t2"]
        assert sorted((came.type, came.told["data"]["task_id"]) for came in await ear.heard(2)) == [
            ("task.completed", "task_t2"),
            ("task.created", "task_t2"),
        ]


async def test_an_owner_reaches_its_own_webhook_alone_and_nothing_through_it(server: NatsServer) -> None:
    async with at_work(server) as one, subscriber() as ear, subscriber() as other:
        own = await one.active(ear.url, "task.created", owner="ann", own_only=True)
        foreign = await one.active(other.url, "task.created", owner="ben", own_only=True)
        wide = await one.active(other.url, "task.created", owner="ann")
        for task, by in (("t1", "ann"), ("t2", "ben")):
            await one.happens(task, submitted(by))
        (mine,) = await one.ended(own.webhook.id, DeliveryStatus.DELIVERED)
        (theirs,) = await one.ended(foreign.webhook.id, DeliveryStatus.DELIVERED)
        await one.ended(wide.webhook.id, DeliveryStatus.DELIVERED, 2)

        def asked(model: type[Command], hook: str, **more: Any) -> Coroutine[Any, Any, dict[str, Any]]:
            return one.say(model, hook_id=hook, owner="ann", **more)

        sent: dict[type[Command], dict[str, Any]] = {
            GetWebhook: {}, ChangeWebhook: {"enabled": False}, VerifyWebhook: {}, RotateSecret: {"rotation_id": "r1"}, DeleteWebhook: {},
            ListDeliveries: {}, RedeliverMany: {"statuses": (DeliveryStatus.DELIVERED,)}, GetDelivery: {"delivery_id": theirs.id},
            Redeliver: {"delivery_id": theirs.id},
        }  # fmt: skip
        for hook in (foreign.webhook.id, wide.webhook.id, f"wh_{'0' * 32}"):
            for model, more in sent.items():
                with pytest.raises(NotFound) as refused:
                    await asked(model, hook, **more)
                assert refused.value.code == "WEBHOOK_NOT_FOUND", model
        for model in (GetDelivery, Redeliver):
            with pytest.raises(NotFound) as refused:
                await asked(model, own.webhook.id, delivery_id=theirs.id)
            assert refused.value.code == "DELIVERY_NOT_FOUND"
        assert {one.task_id for one in DeliveryPage.model_validate(await asked(ListDeliveries, own.webhook.id)).deliveries} == {"t1"}
        await asked(Redeliver, own.webhook.id, delivery_id=mine.id)
        assert [came.id for came in await ear.heard(2)] == [mine.id, mine.id]
        assert len(other.came) == 3


async def test_an_owner_has_fewer_sent_again_at_once_and_is_told_that_there_are_more(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show_webhooks, "MOST_OWN_REDELIVERED", 3)
    async with at_work(server) as one, subscriber() as ear:
        made = await one.active(ear.url, "task.created", own_only=True)
        for number in range(5):
            await one.happens(f"t{number}", submitted())
        await one.ended(made.webhook.id, DeliveryStatus.DELIVERED, 5)
        wish = {"hook_id": made.webhook.id, "owner": "ann", "statuses": (DeliveryStatus.DELIVERED,)}
        assert Redelivered.model_validate(await one.say(RedeliverMany, **wish)) == Redelivered(count=3, more=True)
        assert len(await ear.heard(8)) == 8


async def test_a_failure_is_tried_again_by_the_same_id(server: NatsServer) -> None:
    answers = iter((500, 200))

    async def answer(_: Came) -> web.StreamResponse:
        return web.Response(status=next(answers))

    async with at_work(server) as one, subscriber(answer) as ear:
        made = await one.active(ear.url)
        await one.happens("t1", submitted())

        first, second = await ear.heard(2)

        assert (first.id, first.body) == (second.id, second.body)
        (told,) = await one.ended(made.webhook.id, DeliveryStatus.DELIVERED)
        assert [tried.status for tried in told.history] == [500, 200]
        assert told.history[0].error == "it answered 500"


async def test_410_disables_and_what_is_dead_may_be_sent_again(server: NatsServer) -> None:
    async with at_work(server) as one, subscriber(always(410)) as ear:
        made = await one.active(ear.url, "task.created")
        await one.happens("t1", submitted())
        view = await one.standing(made.webhook.id, WebhookStatus.DISABLED)
        (dead,) = await one.ended(made.webhook.id, DeliveryStatus.DEAD)
        assert view.disabled_by is DisabledBy.GONE
        with pytest.raises(Conflict, match="not active"):
            await one.say(Redeliver, hook_id=made.webhook.id, delivery_id=dead.id)

        ear.answer = None
        await one.say(ChangeWebhook, hook_id=made.webhook.id, enabled=True)
        await one.standing(made.webhook.id, WebhookStatus.ACTIVE)
        again = DeliveryView.model_validate(await one.say(Redeliver, hook_id=made.webhook.id, delivery_id=dead.id))
        assert (again.status, again.round, again.tries) == (DeliveryStatus.PENDING, 1, 0)
        (told,) = await one.ended(made.webhook.id, DeliveryStatus.DELIVERED)
        assert (told.id, told.round) == (dead.id, 1)


async def test_many_are_sent_again_by_how_they_stand(server: NatsServer) -> None:
    async with at_work(server) as one, subscriber() as ear:
        made = await one.active(ear.url, "task.created")
        for number in range(7):
            await one.happens(f"t{number}", submitted())
        await one.ended(made.webhook.id, DeliveryStatus.DELIVERED, 7)

        wish = {"hook_id": made.webhook.id, "statuses": (DeliveryStatus.DELIVERED,), "at": datetime.now(UTC)}
        sent = Redelivered.model_validate(await one.say(RedeliverMany, **wish))
        assert (sent.count, sent.more) == (7, False)
        assert len({came.id for came in await ear.heard(14)}) == 7
        await one.ended(made.webhook.id, DeliveryStatus.DELIVERED, 7)
        assert Redelivered.model_validate(await one.say(RedeliverMany, **wish)).count == 0, "a repeat of the wish"


async def test_a_secret_is_rotated_with_both_signing_and_shown_once(server: NatsServer) -> None:
    async with at_work(server) as one, subscriber() as ear:
        made = await one.active(ear.url, secret="your-webhook-secret")
        assert made.secret == "your-webhook-secret"
        turn = {"hook_id": made.webhook.id, "rotation_id": "r1"}
        new = WebhookMade.model_validate(await one.say(RotateSecret, **turn))
        repeated = WebhookMade.model_validate(await one.say(RotateSecret, **turn))
        await one.happens("t1", submitted())
        (came,) = await ear.heard(1)

        assert new.secret.startswith("whsec_")
        assert repeated.secret == new.secret
        assert new.webhook.secrets == 2
        assert (made.webhook.hint, new.webhook.hint) == ("cret", new.secret[-4:])
        assert new.webhook.signs_with_both_until is not None
        assert signed(came, new.secret)
        assert len(came.headers["webhook-signature"].split(" ")) == 2
        assert "your-webhook-secret" not in str(await one.say(GetWebhook, hook_id=made.webhook.id))
        newest = await one.bus.ledger("HOOKS").newest()
        assert newest >= 3


async def test_no_secret_lies_open_in_the_stream(server: NatsServer) -> None:
    async with at_work(server) as one, subscriber() as ear:
        made = await one.active(ear.url)
        ledger = one.bus.ledger("HOOKS")
        await ledger.start()
        bodies = b"".join([stored.body async for stored in ledger.read("hook.>", 1)])
        assert made.webhook.id.encode() in bodies
        assert made.secret.removeprefix("whsec_").encode() not in bodies


async def test_lists_walk_everything_newest_first_in_pages(server: NatsServer) -> None:
    async with at_work(server) as one, subscriber() as ear, subscriber() as other:
        made = await one.active(ear.url, "task.created")
        await one.active(other.url, "task.created")
        for number in range(25):
            await one.happens(f"t{number}", submitted())
        await one.ended(made.webhook.id, DeliveryStatus.DELIVERED, 25)
        seen: list[str] = []
        after: str | None = None
        while True:
            page = await one.deliveries(made.webhook.id, limit=10, after=after)
            seen.extend(delivery.id for delivery in page.deliveries)
            if (after := page.next) is None:
                break
            assert page.total == 25, "of this webhook alone"
        assert len(seen) == len(set(seen)) == 25
        assert (await one.deliveries(made.webhook.id, statuses=(DeliveryStatus.DELIVERED,))).total is None
        with pytest.raises(Invalid, match="no place"):
            await one.deliveries(made.webhook.id, after="x")
        assert WebhookPage.model_validate(await one.say(ListWebhooks)).total == 2


async def test_a_deleted_webhook_is_unknown_and_anothers_is_too(server: NatsServer) -> None:
    async with at_work(server) as one, desk(server) as other, subscriber() as ear:
        made = await one.active(ear.url)
        for wrong in (one.say(GetWebhook, hook_id=made.webhook.id, owner="ben"), other.say(GetWebhook, hook_id=made.webhook.id)):
            with pytest.raises(NotFound):
                await wrong
        await one.say(DeleteWebhook, hook_id=made.webhook.id)
        with pytest.raises(NotFound):
            await one.say(DeleteWebhook, hook_id=made.webhook.id)
        await one.happens("t1", submitted())
        assert WebhookPage.model_validate(await one.say(ListWebhooks)).total == 0
        assert ear.came == []


async def test_without_a_key_nothing_is_registered(server: NatsServer) -> None:
    async with at_work(server, vault_key="") as one:
        with pytest.raises(Unsupported, match="VAULT_KEY") as refused:
            await one.register("https://example.com/in")
        assert refused.value.code == "NO_VAULT_KEY"


async def test_what_leads_inward_is_refused_when_it_is_connected_to(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = socket.getaddrinfo
    async with at_work(server, webhook_networks_allowed=()) as one:
        for url in (
            "http://example.com",
            "https://127.0.0.1/",
            "https://[::ffff:7f00:1]/",
            "https://example.com:22/",
            "https://a:b@example.com/",
            "https://localhost/",
        ):
            with pytest.raises(Invalid) as refused:
                await one.register(url)
            assert refused.value.code == "BAD_WEBHOOK_URL"
        monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest: usual("127.0.0.1", *rest))
        made = await one.register("https://inward.example/")
        view = await one.until(made.webhook.id, lambda view: bool(view.problem))
        assert "not one of the public Internet" in view.problem


async def test_without_tls_only_what_lies_in_an_allowed_network_is_registered(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = socket.getaddrinfo
    known = {"inside.example": ["127.0.0.1", "127.0.0.2"], "both.example": ["127.0.0.1", "8.8.8.8"], "outside.example": ["8.8.8.8"]}

    def resolved(host: str, port: int, *rest: Any) -> Any:
        if host.endswith(".example") and host not in known:
            raise socket.gaierror("there is no such name")
        return [found for address in known.get(host, [host]) for found in usual(address, port, *rest)]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    async with at_work(server) as one:
        made = await one.register("http://inside.example:9009/in")
        wrong = ("http://both.example/", "http://outside.example/", "http://none.example/", "http://8.8.8.8/", "http://10.0.0.1/")
        for url in wrong:
            for asked in (one.register(url), one.say(ChangeWebhook, hook_id=made.webhook.id, url=url)):
                with pytest.raises(Invalid, match="webhook_networks_allowed") as refused:
                    await asked
                assert refused.value.code == "BAD_WEBHOOK_URL"
        await one.register("https://outside.example/")


async def test_a_slow_subscriber_delays_nobody(server: NatsServer) -> None:
    let_go = asyncio.Event()

    async def never(_: Came) -> web.StreamResponse:
        await let_go.wait()
        return web.Response()

    async with at_work(server) as one, subscriber(never) as slow, subscriber() as quick:
        await one.active(slow.url, "task.created")
        await one.active(quick.url, "task.created")
        for number in range(300):
            await one.happens(f"t{number}", submitted())
        await quick.heard(300, seconds=60)
        assert len(slow.came) <= 32, "as much as one host may have at once"
        let_go.set()


async def test_a_webhook_that_hangs_delays_no_other_of_its_host_and_what_waits_says_why_and_is_told_when_it_answers(
    server: NatsServer,
) -> None:
    let_go = asyncio.Event()

    async def by_path(came: Came) -> web.StreamResponse:
        if came.path == "/slow":
            await let_go.wait()
        return web.Response()

    async with at_work(server) as one, subscriber(by_path) as ear:
        slow, quick = [await one.active(f"{ear.url}/{path}", "task.created") for path in ("slow", "in")]
        for number in range(100):
            await one.happens(f"t{number}", submitted())
        await one.ended(quick.webhook.id, DeliveryStatus.DELIVERED, 100)
        waiting = await one.stuck(slow.webhook.id)
        assert (waiting.tries, waiting.history) == (0, ())
        assert waiting.problem.startswith("waits, and was not tried yet: its ")
        assert waiting.next_try_at is not None
        let_go.set()
        await one.ended(slow.webhook.id, DeliveryStatus.DELIVERED, 100)
        assert len(ear.came) == len({came.id for came in ear.came}) == 200


async def test_two_replicas_keep_and_deliver_once(server: NatsServer, tmp_path: Path) -> None:
    second = {"relay_instance": "relay-1", "data_dir": tmp_path}
    async with at_work(server) as one, running(settings(server, **second)), subscriber() as ear:
        made = await one.active(ear.url, "task.*")
        for number in range(50):
            await one.happens(f"t{number}", submitted())
            await one.happens(f"t{number}", TaskFailed(code="X", error="it broke"))
        told = await one.ended(made.webhook.id, DeliveryStatus.DELIVERED, 100)
        assert len(told) == 100
        assert len(ear.came) == len({came.id for came in ear.came}) == 100
