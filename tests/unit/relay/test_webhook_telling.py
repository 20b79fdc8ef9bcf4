"""What one record of the log says is told to all at once: no fact waits until everybody was told of the one before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from faststream.nats import NatsBroker
from nats.aio.client import Client

from tests.unit.relay.timelines import NOON, RESULT, line, submitted
from trunkline.bus import Stored
from trunkline.bus.dead import DeadLetters
from trunkline.bus.direct import KnownRecords
from trunkline.bus.inlet import Inlet
from trunkline.bus.streams import CONSUMERS, MOST_ON_THEIR_WAY
from trunkline.bus.watching import Watch
from trunkline.contracts.errors import Broken, DomainError, Unavailable
from trunkline.contracts.task import TaskSucceeded
from trunkline.contracts.webhook import DeliveryView, Hook
from trunkline.telemetry.sampling import Sampler
from trunkline.telemetry.traces import Tracer
from trunkline_relay.handlers.tell_webhooks import TaskSubjects, TellWebhooks
from trunkline_relay.subscriptions import HANDS, subscribe_to_news

AtOnce = Callable[[Hook, DeliveryView], Awaitable[bool]]
AWAY = Unavailable("nats-server is away", code="NATS_AWAY")
DEFECT = Broken("that is a defect", code="BROKEN")


class Book:
    """Stands for the webhooks of a tenant: `own` is told of ann's jobs alone."""

    def concerned(self, tenant: str, submitter: str) -> list[Hook]:
        return [hook(name) for name in ("hangs", "quick", *(["own"] if submitter == "ann" else []))]


def hook(name: str) -> Hook:
    return Hook(
        id=name, tenant="acme", url=f"https://{name}.example/", events=("*",), owner="ann", surface="pr_agent", own_only=name == "own",
        verified_at=NOON, created_at=NOON, updated_at=NOON,
    )  # fmt: skip


async def settled() -> None:
    return None


def telling(at_once: AtOnce) -> TellWebhooks:
    about = TaskSubjects(lambda tenant, task: None, settled)
    return TellWebhooks(Book(), None, at_once, about, (lambda _: "life", "http://gateway"))  # type: ignore[arg-type]


def record() -> Stored:
    both = line(7, "t1", "task", submitted(), TaskSucceeded(result=RESULT))
    return Stored(both.seq, both.subject, both.body)


async def test_who_hangs_delays_nobody_with_the_next_fact_of_a_record() -> None:
    told, all_told = list[tuple[str, str]](), asyncio.Event()

    async def at_once(hook: Hook, delivery: DeliveryView) -> bool:
        if hook.id == "hangs":
            await asyncio.Event().wait()
        told.append((hook.id, delivery.type))
        if len(told) == 4:
            all_told.set()
        return True

    async with asyncio.TaskGroup() as group:
        running = group.create_task(telling(at_once)(record()))
        async with asyncio.timeout(5):
            await all_told.wait()
        running.cancel()
    assert told == [(name, word) for word in ("task.created", "task.completed") for name in ("quick", "own")]


async def test_what_is_told_to_many_is_written_once_for_each_name_of_it() -> None:
    bodies: dict[str, set[int]] = {}

    async def at_once(hook: Hook, delivery: DeliveryView) -> bool:
        bodies.setdefault(delivery.type, set()).add(id(delivery.body))
        kept.append(delivery)
        return True

    kept: list[DeliveryView] = []
    await telling(at_once)(record())
    assert len(kept) == 6
    assert {name: len(each) for name, each in bodies.items()} == {"task.created": 1, "task.completed": 1}


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ({"task.created": AWAY}, AWAY),
        ({"task.completed": AWAY}, AWAY),
        ({"task.created": DEFECT, "task.completed": AWAY}, AWAY),
        ({"task.completed": DEFECT}, DEFECT),
    ],
)
async def test_what_fails_is_raised_as_itself_so_that_the_record_comes_again(errors: dict[str, DomainError], raised: DomainError) -> None:
    async def at_once(hook: Hook, delivery: DeliveryView) -> bool:
        if delivery.type in errors:
            raise errors[delivery.type]
        return True

    with pytest.raises(DomainError) as caught:
        await telling(at_once)(record())
    assert caught.value is raised


async def test_whatever_waits_for_a_subscriber_has_as_many_hands_as_may_be_slow() -> None:
    client, unseen = Client(), Watch(Tracer("relay", Sampler(0, 0), lambda _: None))
    inlet = Inlet(client, NatsBroker(), DeadLetters(client), KnownRecords(), unseen)  # type: ignore[arg-type]
    subscribe_to_news(inlet, telling(never), NEWS, NEWS)  # type: ignore[arg-type]
    assert [pull._hands._value for pull in inlet._pulls] == [HANDS] * 4
    named = {consumer.name: consumer.max_ack_pending for _, consumer in CONSUMERS}
    ours = ("relay-webhooks", "relay-deliveries", "due-relay-deliver", "due-relay-verify")
    assert {named[name] for name in ours} == {MOST_ON_THEIR_WAY}


async def never(hook: Hook, delivery: DeliveryView) -> bool:
    return False


class News:
    """Stands for what is done with deliveries and addresses."""

    async def fresh(self, stored: Stored) -> None: ...

    async def due(self, timer: object) -> None: ...

    async def __call__(self, timer: object) -> None: ...


NEWS = News()
