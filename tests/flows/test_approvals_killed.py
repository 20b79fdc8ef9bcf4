"""An approval survives `kill -9` of its service and of nats-server, at every moment between being asked and being decided."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.flows.approval_desk import (
    Policies,
    answer,
    ask,
    asked,
    caller,
    dead,
    decision,
    desk,
    facts,
    held,
    router_says,
    tell,
    timed_out,
    until,
    words,
)
from trunkline.contracts.approval import ApprovalEscalated, DecidedBy, Verdict
from trunkline.contracts.errors import Conflict
from trunkline.testing.nats import NatsServer, nats_server

pytestmark = [pytest.mark.flow, pytest.mark.kill]
CHAIN: Policies = [
    {"name": "chain", "on_expiry": "escalate", "first": {"expires_s": 1.0}, "escalation": [{"roles": ["admin"], "expires_s": 1.0}]}
]
TWO: Policies = [{"name": "two", "first": {"quorum": 2}}]


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.mark.parametrize("victim", ["service", "nats-server", "both"])
async def test_between_the_question_the_votes_and_the_decision(server: NatsServer, victim: str) -> None:
    with desk(server.url, TWO) as service:
        async with caller(server.url) as bus:

            async def kill() -> None:
                if victim != "nats-server":
                    service.kill()
                if victim != "service":
                    server.kill()
                    server.start()
                if victim != "nats-server":
                    service.start()
                await service.ready(bus)

            await service.ready(bus)
            await tell(bus, ask("a1"))
            await kill()
            first = answer("a1", "ann")
            assert (await tell(bus, first)).votes == 1
            await kill()
            assert (await tell(bus, first)).votes == 1
            with pytest.raises(Conflict):
                await tell(bus, answer("a1", "ann"))
            assert (await tell(bus, answer("a1", "bob"))).status == "approved"
            await kill()
            with pytest.raises(Conflict) as refusal:
                await tell(bus, answer("a1", "cid", Verdict.REJECTED))
            assert refusal.value.code == "ALREADY_DECIDED"
            assert (await decision(bus, "a1")).decided_by is DecidedBy.HUMAN
            assert await words(bus, "a1") == ["approval.requested", "approval.voted", "approval.decided"]


async def test_between_the_first_timer_and_the_question(server: NatsServer) -> None:
    """The task's fact is delivered again, and asked about then; the timer of the dead try does nothing."""
    with desk(server.url, CHAIN) as service:
        async with caller(server.url) as bus:
            await service.ready(bus)
            service.arm("approval.timer_set")
            await router_says(bus, "t7", *held())
            await dead(service.process)
            assert await facts(bus, "release", "t7") == []
            service.start()
            await asked(bus, "release", "t7")
            assert timed_out(await decision(bus, "release", "t7"))
            assert await words(bus, "release", "t7") == ["approval.requested", "approval.escalated", "approval.decided"]


async def test_between_the_timer_of_a_stage_and_its_fact(server: NatsServer) -> None:
    with desk(server.url, CHAIN) as service:
        async with caller(server.url) as bus:
            await service.ready(bus)
            service.arm("approval.stage_timer_set")
            await tell(bus, ask("a1"))
            await dead(service.process)
            assert await words(bus, "a1") == ["approval.requested"]
            service.start()
            (_, stage, *_) = await until(bus, "a1", "approval.escalated")
            assert isinstance(stage, ApprovalEscalated)
            assert timed_out(await decision(bus, "a1"))
            assert await words(bus, "a1") == ["approval.requested", "approval.escalated", "approval.decided"]


@pytest.mark.parametrize("point", ["approval.timer_set", "approval.stage_timer_set"])
async def test_nats_server_dies_between_a_timer_and_its_fact(server: NatsServer, point: str) -> None:
    with desk(server.url, CHAIN) as service:
        async with caller(server.url) as bus:
            await service.ready(bus)
            assert server.process
            service.arm(point, str(server.process.pid))
            async with asyncio.TaskGroup() as group:
                group.create_task(tell(bus, ask("a1")))
                await dead(server.process)
                server.start()
            assert service.alive
            assert timed_out(await decision(bus, "a1"))
            assert await words(bus, "a1") == ["approval.requested", "approval.escalated", "approval.decided"]


async def test_an_expiry_that_comes_while_everything_is_dead(server: NatsServer) -> None:
    with desk(server.url) as service:
        async with caller(server.url) as bus:
            await service.ready(bus)
            await tell(bus, ask("a1", 1.0))
            service.kill()
            server.kill()
            await asyncio.sleep(1.5)
            server.start()
            service.start()
            assert timed_out(await decision(bus, "a1"))
