"""What agents elsewhere ask people, on a real nats-server: asked once whoever hears of it, answered either way, never left open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.flows.approval_desk import Desk, answer, asked, caller, dead, decision, desk, facts, replicas, tell, until, words
from trunkline.bus import Bus
from trunkline.contracts import subjects
from trunkline.contracts.approval import ApprovalDecided, DecidedBy, Verdict
from trunkline.contracts.calls import Allowance
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import TaskId, TenantId, message_id
from trunkline.contracts.instance import (
    InstanceMoved,
    InstanceOpened,
    InstanceSaid,
    InstanceStatus,
    InstanceTold,
    question_id,
)
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import nats_server

pytestmark = pytest.mark.flow
ENDS = (["approval.decided"], ["approval.withdrawn"])
OPENED = InstanceOpened(agent_type="claude", owner="ann")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with nats_server() as server:
        yield server.url


class Instance:
    """The conversation of one agent, as the router keeps it."""

    def __init__(self, bus: Bus, task: str) -> None:
        self.bus, self.task, self._seq = bus, task, 0

    def name(self, seed: str) -> str:
        return message_id(self.task, seed)

    def approval(self, seed: str) -> str:
        return question_id(self.name(seed))

    async def says(self, *said: Fact) -> None:
        subject = subjects.event(TenantId("acme"), TaskId(self.task), subjects.INSTANCE)
        record = Record(at=now(), cause="test", facts=said)
        self._seq = await self.bus.log.append(subject, record, expect=self._seq, id=new_id())

    async def asks(self, seed: str, text: str = "Which colour?", closes: str = "") -> None:
        said = InstanceSaid(message_id=self.name(seed), text=text, asks=True, closes=self.name(closes) if closes else "")
        await self.says(*(() if self._seq else (OPENED,)), said)

    async def told(self, seed: str, answers: str, text: str = "Red.") -> None:
        await self.says(InstanceTold(message_id=self.name(seed), text=text, by="bob", answers=self.name(answers)))

    async def words(self, seed: str) -> list[str]:
        return await words(self.bus, self.approval(seed), self.task)


async def test_a_question_is_asked_once_and_an_answer_in_words_decides_it(url: str) -> None:
    async with replicas(url, 2) as bus:
        agent = Instance(bus, "a" * 32)
        await agent.asks("one")
        question = await asked(bus, agent.approval("one"), agent.task)
        assert (question.kind, question.subject, question.requested_by) == ("input", "Which colour?", f"instance:{agent.task}")

        wish = answer(agent.approval("one"), "ann", role="agent", task_id=agent.task, digest=question.digest)
        with pytest.raises(Invalid) as refusal:
            await tell(bus, wish)
        assert refusal.value.code == "ANSWER_NEEDED"
        stands = await tell(bus, wish.model_copy(update={"allowance": Allowance(answer="Red.")}))
        assert stands.status == "approved"
        found = await decision(bus, agent.approval("one"), agent.task)
        assert found.allowance == Allowance(answer="Red.")


async def test_an_answer_given_in_the_conversation_decides_it_as_well(url: str) -> None:
    async with replicas(url, 2) as bus:
        agent = Instance(bus, "b" * 32)
        await agent.asks("one")
        await asked(bus, agent.approval("one"), agent.task)
        await agent.told("two", answers="one")
        found = await decision(bus, agent.approval("one"), agent.task)
        assert (found.verdict, found.decided_by, found.by, found.allowance) == (
            Verdict.APPROVED, DecidedBy.HUMAN, "bob", Allowance(answer="Red."),
        )  # fmt: skip


async def test_a_question_goes_with_the_next_message_and_with_the_agent(url: str) -> None:
    async with replicas(url, 1) as bus:
        agent = Instance(bus, "c" * 32)
        await agent.asks("one")
        await asked(bus, agent.approval("one"), agent.task)
        await agent.asks("two", "And the size?", closes="one")
        await until(bus, agent.approval("one"), "approval.withdrawn", agent.task)
        await asked(bus, agent.approval("two"), agent.task)
        await agent.says(InstanceMoved(status=InstanceStatus.COMPLETED, was=InstanceStatus.AWAITING_INPUT, by="ann"))
        await until(bus, agent.approval("two"), "approval.withdrawn", agent.task)
        assert await agent.words("two") == ["approval.requested", "approval.withdrawn"]


async def test_of_an_answer_here_and_one_there_at_the_same_moment_one_decides(url: str) -> None:
    async with replicas(url, 2) as bus:
        agents = [Instance(bus, f"{number:032x}") for number in range(16)]
        async with asyncio.TaskGroup() as group:
            for agent in agents:
                group.create_task(_raced(bus, agent))
        for agent in agents:
            ends = [fact for fact in await facts(bus, agent.approval("one"), agent.task) if isinstance(fact, ApprovalDecided)]
            assert len(ends) == 1
            assert (ends[0].by, ends[0].allowance) in [("ann", Allowance(answer="Blue.")), ("bob", Allowance(answer="Red."))]


async def _raced(bus: Bus, agent: Instance) -> None:
    await agent.asks("one")
    question = await asked(bus, agent.approval("one"), agent.task)
    blue = Allowance(answer="Blue.")
    wish = answer(agent.approval("one"), "ann", role="agent", task_id=agent.task, digest=question.digest, allowance=blue)
    await asyncio.gather(tell(bus, wish), agent.told("two", answers="one"), return_exceptions=True)
    await decision(bus, agent.approval("one"), agent.task)


async def test_what_was_answered_before_anybody_heard_the_question_is_never_open(url: str) -> None:
    async with replicas(url, 0) as bus:
        agent = Instance(bus, "e" * 32)
        await agent.asks("one")
        await agent.told("two", answers="one")
        async with replicas(url, 2):
            async with asyncio.timeout(20):
                while (await agent.words("one"))[-1:] not in ENDS:  # noqa: ASYNC110 - the log is looked at, nobody tells
                    await asyncio.sleep(0.05)


@pytest.mark.kill
async def test_a_service_that_dies_over_a_question_or_its_answer_asks_once_and_decides_once(url: str) -> None:
    """What one death left undone is done while others come: it is heard again only after a while."""
    with desk(url) as service:
        async with caller(url) as bus:
            await service.ready(bus)
            lost, late, twice = (Instance(bus, letter * 32) for letter in "789")
            await late.asks("one")
            await asked(bus, late.approval("one"), late.task)

            service.arm("question_closed.before_effect")
            await late.told("two", answers="one")
            await _another(service, bus)
            service.arm("approval_wanted.before_ask")
            await lost.asks("one")
            await _another(service, bus)
            assert (await late.words("one"), await lost.words("one")) == (["approval.requested"], [])
            await twice.asks("one")
            await asked(bus, twice.approval("one"), twice.task)
            service.arm("question_closed.after_record")
            await twice.told("two", answers="one")
            await _another(service, bus)

            await asked(bus, lost.approval("one"), lost.task)
            assert (await decision(bus, late.approval("one"), late.task)).by == "bob"
            for agent in (late, twice):
                assert await agent.words("one") == ["approval.requested", "approval.decided"]


async def _another(service: Desk, bus: Bus) -> None:
    await dead(service.process)
    service.start()
    await service.ready(bus)
