"""Held tasks are asked about on a real nats-server, once, and no longer than they are held."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.flows.approval_desk import answer, asked, ended, held, replicas, router_says, tell, until, words
from trunkline.bus import Bus
from trunkline.contracts.approval import OpenApproval
from trunkline.contracts.errors import Conflict, NotFound
from trunkline.contracts.message import Accepted
from trunkline.runtime.clock import now
from trunkline.testing.nats import nats_server

pytestmark = pytest.mark.flow


@pytest.fixture
def url() -> Iterator[str]:
    with nats_server() as server:
        yield server.url


async def opened(bus: Bus, task: str) -> Accepted:
    return await bus.commands.send("approvals", task, OpenApproval(tenant="acme", at=now(), task_id=task))


async def test_a_held_task_is_asked_about_though_nobody_sent_a_command(url: str) -> None:
    async with replicas(url, 2) as bus:
        await router_says(bus, "t7", *held())
        question = await asked(bus, "release", "t7")
        assert (question.kind, question.requested_by, question.about) == ("task", "agent", {"priority": "P0"})


async def test_an_opened_approval_can_be_decided_at_once_and_is_asked_once(url: str) -> None:
    async with replicas(url, 2) as bus:
        for number in range(20):
            task = f"t{number}"
            await router_says(bus, task, *held())
            assert (await opened(bus, task)).body["status"] in ("pending", "approved")
            assert (await tell(bus, answer("release", "ann", task_id=task))).status == "approved"
        await asyncio.sleep(0.5)
        assert {tuple(await words(bus, "release", f"t{number}")) for number in range(20)} == {("approval.requested", "approval.decided")}


async def test_a_task_that_ends_takes_its_question_back(url: str) -> None:
    async with replicas(url, 2) as bus:
        seq = await router_says(bus, "t7", *held())
        await asked(bus, "release", "t7")
        await router_says(bus, "t7", *ended(), after=seq)
        await until(bus, "release", "approval.withdrawn", "t7")
        with pytest.raises(Conflict) as refusal:
            await tell(bus, answer("release", "ann", task_id="t7"))
        assert refusal.value.details["status"] == "withdrawn"


async def test_a_task_that_ends_at_the_moment_it_is_asked_about_is_never_left_open(url: str) -> None:
    async with replicas(url, 2) as bus:

        async def a_short_life(task: str) -> None:
            seq = await router_says(bus, task, *held())
            async with asyncio.TaskGroup() as group:
                group.create_task(router_says(bus, task, *ended(), after=seq))
                for _ in range(3):
                    group.create_task(opened(bus, task))

        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(a_short_life(f"t{number}"))
        for number in range(40):
            task = f"t{number}"
            await until(bus, "release", "approval.withdrawn", task)
            assert await words(bus, "release", task) in (["approval.withdrawn"], ["approval.requested", "approval.withdrawn"])


async def test_a_task_that_is_not_held_or_not_there(url: str) -> None:
    async with replicas(url, 1) as bus:
        seq = await router_says(bus, "t7", *held()[:2])
        assert await opened(bus, "t7") == Accepted(seq=seq)
        with pytest.raises(NotFound) as refusal:
            await opened(bus, "nowhere")
        assert refusal.value.code == "TASK_NOT_FOUND"
