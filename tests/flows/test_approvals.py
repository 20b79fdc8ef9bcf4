"""Approvals on a real nats-server: many who decide at once, several replicas, and a clock that outlives the service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.flows.approval_desk import DIGEST, answer, ask, caller, decision, facts, outcomes, replicas, tell, timed_out, until, words
from trunkline.contracts.approval import ApprovalDecided, ApprovalVoted, DecidedBy, Verdict
from trunkline.contracts.errors import Conflict, Denied, DomainError, Unavailable
from trunkline.contracts.message import Accepted
from trunkline.testing.nats import nats_server

pytestmark = pytest.mark.flow
TWO_OF_MANY = {"name": "two", "first": {"quorum": 2}}
NOT_SO_FAST = {"name": "three", "veto": False, "first": {"quorum": 3}}


@pytest.fixture
def url() -> Iterator[str]:
    with nats_server() as server:
        yield server.url


async def test_of_sixty_four_who_decide_at_once_exactly_one_wins(url: str) -> None:
    async with replicas(url, 2) as bus:
        await tell(bus, ask("a7"))
        verdicts = [Verdict.APPROVED, Verdict.REJECTED]

        came = await outcomes(bus, [answer("a7", f"person-{number}", verdicts[number % 2]) for number in range(64)])

        won = [one for one in came if isinstance(one, Accepted)]
        lost = [one for one in came if isinstance(one, DomainError)]
        assert len(won) == 1
        assert {(type(one), one.code) for one in lost} == {(Conflict, "ALREADY_DECIDED")}
        (decided,) = [fact for fact in await facts(bus, "a7") if isinstance(fact, ApprovalDecided)]
        assert won[0].body["status"] == decided.verdict
        assert {one.details["by"] for one in lost} == {decided.by}


async def test_of_sixty_four_who_vote_at_once_as_many_count_as_are_needed(url: str) -> None:
    async with replicas(url, 2, [NOT_SO_FAST]) as bus:
        await tell(bus, ask("a7"))

        came = await outcomes(bus, [answer("a7", f"person-{number % 32}") for number in range(64)])

        votes = [fact.by for fact in await facts(bus, "a7") if isinstance(fact, (ApprovalVoted, ApprovalDecided))]
        assert len(set(votes)) == len(votes) == 3
        assert sum(isinstance(one, Accepted) for one in came) == 3
        assert {one.code for one in came if isinstance(one, DomainError)} <= {"ALREADY_DECIDED", "ALREADY_VOTED"}


async def test_one_person_on_two_replicas_at_once_is_still_one_person(url: str) -> None:
    async with replicas(url, 2, [TWO_OF_MANY]) as bus:
        await tell(bus, ask("a7"))
        came = await outcomes(bus, [answer("a7", "ann") for _ in range(32)])
        assert sum(isinstance(one, Accepted) for one in came) == 1
        assert await words(bus, "a7") == ["approval.requested", "approval.voted"]


async def test_a_repeated_command_is_taken_again_and_writes_nothing_on_any_replica(url: str) -> None:
    async with replicas(url, 2) as bus:
        command = ask("a8", 60)
        for _ in range(8):
            await tell(bus, command)
        came = await outcomes(bus, [answer("a8", "ann", decision_id="one") for _ in range(16)])

        assert {type(one) for one in came} == {Accepted}
        assert await words(bus, "a8") == ["approval.requested", "approval.decided"]


async def test_a_refusal_crosses_the_bus_with_its_kind_and_code(url: str) -> None:
    async with replicas(url, 1) as bus:
        await tell(bus, ask("a9"))
        with pytest.raises(Denied) as refusal:
            await tell(bus, answer("a9", "agent", role="agent"))
        assert refusal.value.code == "OWN_REQUEST"


async def test_a_decision_before_anybody_waits_for_it_is_found_later(url: str) -> None:
    async with replicas(url, 1) as bus:
        await tell(bus, ask("a9"))
        await tell(bus, answer("a9", "ann"))
    async with caller(url) as late, asyncio.timeout(5):
        found = await decision(late, "a9")
        assert (found.verdict, found.by, found.digest) == (Verdict.APPROVED, "ann", DIGEST)


async def test_an_expiry_that_comes_while_the_service_is_down_is_made_up_for(url: str) -> None:
    async with replicas(url, 1) as bus:
        await tell(bus, ask("a2", 60.0))
        await tell(bus, answer("a2", "ann", Verdict.REJECTED))
        await tell(bus, ask("a1", 2.0))
    async with caller(url) as bus:
        await asyncio.sleep(2.5)
        assert len(await facts(bus, "a1")) == 1
        with pytest.raises(Unavailable):
            await bus.commands.send("approvals", "a1", answer("a1", "ann"), timeout=0.2)

    async with replicas(url, 1) as bus:
        assert timed_out(await decision(bus, "a1"))
        with pytest.raises(Conflict) as refusal:
            await tell(bus, answer("a1", "ann"))
        assert refusal.value.details["decided_by"] == "timeout"
        refused = (await facts(bus, "a2"))[-1]
        assert isinstance(refused, ApprovalDecided)
        assert (refused.verdict, refused.decided_by) == (Verdict.REJECTED, DecidedBy.HUMAN)


@pytest.mark.parametrize(
    ("on_expiry", "last"), [("reject", "approval.decided"), ("approve", "approval.decided"), ("hold", "approval.overdue")]
)
async def test_the_clock_does_what_the_policy_says(url: str, on_expiry: str, last: str) -> None:
    async with replicas(url, 2, [{"name": "short", "on_expiry": on_expiry, "first": {"expires_s": 0.5}}]) as bus:
        await tell(bus, ask("a1"))
        end = (await until(bus, "a1", last))[-1].model_dump()
        assert end.get("verdict") == {"reject": "rejected", "approve": "approved", "hold": None}[on_expiry]
        if on_expiry == "hold":
            assert (await tell(bus, answer("a1", "ann"))).status == "approved"


def chain(first: float, *further: float) -> dict[str, Any]:
    """Who may decide, one after the other, and for how many seconds each."""
    whose: list[dict[str, Any]] = [{"roles": ["admin"], "notify": ["on-call"]}, {"roles": [], "names": ["cto"]}]
    stages = [{**stage, "expires_s": seconds} for stage, seconds in zip(whose, further, strict=False)]
    return {"name": "chain", "on_expiry": "escalate", "first": {"roles": ["approver"], "expires_s": first}, "escalation": stages}


async def test_a_chain_of_escalation_is_gone_through_to_its_end(url: str) -> None:
    async with replicas(url, 2, [chain(0.5, 0.5, 0.5)]) as bus:
        await tell(bus, ask("a1"))
        end = await decision(bus, "a1")
        assert timed_out(end)
        assert await words(bus, "a1") == ["approval.requested", "approval.escalated", "approval.escalated", "approval.decided"]


async def test_whoever_a_chain_comes_to_may_decide_then_and_not_before(url: str) -> None:
    async with replicas(url, 2, [chain(2.0, 2.0)]) as bus:
        await tell(bus, ask("a2"))
        with pytest.raises(Denied):
            await tell(bus, answer("a2", "root", role="admin"))
        await until(bus, "a2", "approval.escalated")
        assert (await tell(bus, answer("a2", "root", role="admin"))).status == "approved"
        await asyncio.sleep(2.2)
        assert (await words(bus, "a2"))[-1] == "approval.decided"
