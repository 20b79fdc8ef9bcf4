"""A timer wakes the service: what it finds, and what it does when the approval is not there yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from trunkline.contracts.approval import ApprovalDecided, DecidedBy, RequestApproval
from trunkline.contracts.message import Fact
from trunkline_approvals.handlers.answer_command import AnswerCommand
from trunkline_approvals.handlers.expire_approval import Expire
from trunkline_approvals.model import Approval, ApprovalCommand, ExpireApproval, decide, evolve

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SOON = NOON + timedelta(seconds=1)
ASK = RequestApproval(
    tenant="acme", at=NOON, approval_id="a7", task_id="t1", subject="?", digest="a" * 64, requested_by="agent", expires_at=SOON
)
WAKE = ExpireApproval(tenant="acme", at=SOON, approval_id="a7", task_id="t1")


@dataclass(frozen=True)
class Came:
    state: Approval | None
    seq: int
    facts: Sequence[Fact]


@dataclass
class InMemory:
    """Approvals in a list, and timers that only the test lets fire."""

    facts: list[Fact] = field(default_factory=list)
    timers: list[tuple[datetime, ExpireApproval]] = field(default_factory=list)
    story: list[str] = field(default_factory=list)

    async def receive(self, subject: str, command: ApprovalCommand, at: datetime, cause: str = "") -> Came:
        state: Approval | None = None
        for fact in self.facts:
            state = evolve(state, fact)
        facts = decide(state, command)
        self.story.append("stored")
        self.facts += facts
        for fact in facts:
            state = evolve(state, fact)
        return Came(state, len(self.facts), facts)

    async def set(self, at: datetime, wake: ExpireApproval) -> None:
        self.story.append("timer")
        self.timers.append((at, wake))


async def test_the_timer_is_set_before_the_approval_is_stored() -> None:
    world = InMemory()
    accepted = await AnswerCommand(world, world).request(ASK)
    assert world.story == ["timer", "stored"]
    assert world.timers == [(SOON, WAKE)]
    assert accepted.body == {"status": "pending"}


async def test_an_approval_without_expiry_has_no_timer() -> None:
    world = InMemory()
    await AnswerCommand(world, world).request(ASK.model_copy(update={"expires_at": None}))
    assert world.timers == []


async def test_an_approval_that_nobody_decided_counts_as_rejected() -> None:
    world = InMemory()
    await AnswerCommand(world, world).request(ASK)
    for _ in range(2):
        await Expire(world, world, lambda: SOON)(WAKE)
    (decided,) = [fact for fact in world.facts if isinstance(fact, ApprovalDecided)]
    assert (decided.verdict, decided.decided_by) == ("rejected", DecidedBy.TIMEOUT)


async def test_a_timer_that_was_faster_than_its_approval_comes_once_more_and_then_no_more() -> None:
    world = InMemory()
    expire = Expire(world, world, lambda: SOON)

    await expire(WAKE)
    ((again, wake),) = world.timers
    assert again == SOON + timedelta(seconds=60)
    await expire(wake)
    assert len(world.timers) == 1

    await AnswerCommand(world, world).request(ASK)
    await expire(wake)
    assert isinstance(world.facts[-1], ApprovalDecided)
