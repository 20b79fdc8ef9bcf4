"""Agents on NATS that mean harm, or come at odd moments: what is not theirs they do not get, and what is odd is refused in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nats.aio.msg import Msg

from tests.conformance.agent_worlds import RouterWorld
from tests.flows.plain_agent import Refusal, held, plain_agent
from tests.flows.test_agents_on_nats import refused, scene, taken
from tests.flows.test_routing import OURS, routed
from trunkline import Agent, Context
from trunkline.bus import Raced
from trunkline.contracts.agent import Beat, Claim, Claimed, Held, Leased, Say, Text
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.subjects import AgentCall
from trunkline.contracts.task import Priority
from trunkline.runtime.clock import now
from trunkline.sdk.agents.nats_wire import NatsWire, Way
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_router.handlers import agent_says, lease_claims, lease_line
from trunkline_router.handlers.agent_says import AgentSays
from trunkline_router.handlers.lease_claims import Claims, Untold
from trunkline_router.handlers.lease_life import Pulses

pytestmark = pytest.mark.flow

CALL = AgentCall(TenantId("acme"), "bot", "claim")


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


async def test_no_agent_takes_what_our_own_services_carry_out(server: NatsServer) -> None:
    async with scene(server, **OURS) as (client, agent):
        await client.submit("one", repo="acme/api")
        for pools in (["dev"], ["github"], ["dev_agent", "dev"]):
            assert await refused(agent.claim(pools=pools, wait_s=0.2)) == "NOT_YOURS"
        assert await client.stored("WORK", f"work.dev.line.*.{client.tenant}") == 1


async def test_numbers_that_are_too_long_for_most_break_nothing(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        task = await taken(client, agent)
        await agent.ask("ask", {**held(task), "id": "q", "question": "how many?", "about": {"at_least": 10**30}})
        assert await agent.report(task, "succeeded", result={"found": 10**30}) == "succeeded"


async def test_no_body_is_larger_than_it_says(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        task, large = await taken(client, agent), {"x": "x" * (300 << 10)}
        assert await refused(agent.ask("publish", {"event_id": "e", "event_type": "a.b", "payload": large})) == "BODY_TOO_LARGE"
        assert await refused(agent.ask("submit", {**held(task), "id": "p", "type": "bugfix", "payload": large})) == "BODY_TOO_LARGE"
        assert await agent.report(task, "succeeded", result="x" * (250 << 10)) == "succeeded"


async def test_no_agent_floods_the_others_with_events_or_tasks(server: NatsServer) -> None:
    async with (
        scene(server, agents_publish="2/60s", agents_submit="1/60s") as (client, agent),
        routed(server, agents_publish="2/60s", agents_submit="1/60s"),  # counted over all routers together
        plain_agent(server.url, agent.tenant, "quiet") as quiet,
    ):
        task = await taken(client, agent)
        for event in ("e1", "e1", "e2", "e1"):  # the same again counts once, also where there is no more room
            await agent.ask("publish", {"event_id": event, "event_type": "a.b"})
        with pytest.raises(Refusal) as refusal:
            await agent.ask("publish", {"event_id": "e3", "event_type": "a.b"})
        assert refusal.value.code == "RATE_LIMITED" and 50 < refusal.value.details["retry_after"] <= 61
        await quiet.ask("publish", {"event_id": "e3", "event_type": "a.b"})
        part = await agent.ask("submit", {**held(task), "id": "p1", "type": "documentation"})
        assert await agent.ask("submit", {**held(task), "id": "p1", "type": "documentation"}) == part
        assert await refused(agent.ask("submit", {**held(task), "id": "p2", "type": "documentation"})) == "RATE_LIMITED"
        assert await agent.report(task, "succeeded") == "succeeded"


async def test_a_handler_that_makes_more_tasks_than_it_may_waits_for_its_turn(server: NatsServer) -> None:
    agent = Agent("dev_agent")

    @agent.task("bugfix")
    async def split(ctx: Context) -> int:
        return len({await ctx.submit("documentation", {"page": page}) for page in range(3)})

    async with routed(server, agents_submit="2/1s") as client:
        world = RouterWorld(server.url, client)
        async with world.serving(agent):
            assert (await (await world.submit()).over()).result == 3


async def test_nobody_guesses_where_an_agent_of_the_sdk_hears_its_answers(server: NatsServer) -> None:
    """Anybody may have the answers to their own questions sent there."""
    async with scene(server) as (client, _), asyncio.TaskGroup() as group, asyncio.timeout(30):
        inboxes: asyncio.Queue[str] = asyncio.Queue()

        async def hear(message: Msg) -> None:
            inboxes.put_nowait(message.reply.rpartition(".")[2])

        await client.bus.client.subscribe("agent.odd.sdk.beat", cb=hear)
        await client.bus.client.flush()
        wire = NatsWire(Way((server.url,), lambda: "", "odd", "sdk"))
        running = group.create_task(wire.run(lambda what, body: None))
        for _ in range(2):
            await wire.ask("beat", b"{}", 5)  # answered by the router, which may be before it is heard here
        heard = {await inboxes.get(), await inboxes.get()}
        running.cancel()
    assert len(heard) == 2
    assert all(len(inbox) >= 22 for inbox in heard)


async def test_a_beat_of_many_leases_says_that_the_bus_is_away_as_a_beat_of_one_does() -> None:
    async def away(_: object) -> None:
        raise Unavailable("the bus is away", code="BUS_AWAY")

    pulses = Pulses(cast(Any, SimpleNamespace(standing=away)), cast(Any, None), Untold(), now)
    with pytest.raises(Unavailable):
        await pulses.beat(CALL, Beat(session="s", leases=(Held(task_id="a", lease="x"), Held(task_id="b", lease="y"))))


async def test_a_word_that_is_tried_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = iter((False, False, True))

    async def holds(*_: object, **__: object) -> Any:
        return SimpleNamespace(seq=1), SimpleNamespace(attempt=1)

    async def stored(*_: object, **__: object) -> int:
        if next(tries):
            return 1
        raise Raced

    monkeypatch.setattr(agent_says, "MOST_SPOKEN", 2_000)
    says = AgentSays(cast(Any, SimpleNamespace(held=holds)), cast(Any, SimpleNamespace(say_while=stored)), now)
    assert (await says.say(CALL, Say(task_id="a", lease="x", id="1", items=(Text(text="x" * 800),)))).seq == 1


class Pool:
    """A pool with one task, which is slow to be given and slow to be let go of."""

    def __init__(self, gives: float = 0.0, closes: float = 0.0) -> None:
        self.tasks: asyncio.Queue[Any] = asyncio.Queue()
        self.closing = asyncio.Event()
        self._gives, self._closes = gives, closes

    @asynccontextmanager
    async def of(self, tenant: TenantId, pool: str) -> AsyncIterator[Any]:
        yield SimpleNamespace(next=lambda hands: self.tasks.get())
        self.closing.set()
        await asyncio.sleep(self._closes)

    async def kind(self, _: object) -> str:
        return "bugfix"

    async def give(self, _: object, waiting: object) -> Any:
        await asyncio.sleep(self._gives)
        until = now() + timedelta(seconds=60)
        return Leased(
            task_id="one", lease="x", attempt=1, until=until, type="bugfix", pool="p", priority=Priority.P2, deadline_at=until
        )  # fmt: skip

    async def held(self, *_: object) -> None:
        """Whoever asks has it."""

    async def done(self) -> None:
        """It is in somebody's hands."""

    def put(self) -> None:
        self.tasks.put_nowait(SimpleNamespace(done=self.done, watched=nullcontext))

    def claims(self) -> Claims:
        leases = SimpleNamespace(lasts=timedelta(seconds=15), held=self.held)
        return Claims(cast(Any, self.of), cast(Any, self), cast(Any, leases))


def given(answer: Accepted) -> list[str]:
    return [task.task_id for task in Claimed.model_validate(answer.body).tasks]


async def test_what_is_given_after_its_claim_was_answered_is_told_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_claims, "SETTLED", 0.01)
    pool = Pool(gives=0.1)
    pool.put()
    claims, wish = pool.claims(), Claim(pools=("p",), session="s", wait_s=0.05)
    async with claims.open():
        assert given(await claims.claim(CALL, wish)) == []
        await asyncio.sleep(0.1)
        assert given(await claims.claim(CALL, wish)) == ["one"]


async def test_who_comes_while_a_line_is_closed_is_served_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_line, "LINGER", 0.01)
    pool = Pool(closes=0.1)
    claims, wish = pool.claims(), Claim(pools=("p",), session="s", wait_s=1)
    async with claims.open():
        await claims.claim(CALL, wish.model_copy(update={"wait_s": 0.01}))
        await pool.closing.wait()
        pool.put()
        assert given(await claims.claim(CALL, wish)) == ["one"]
