"""Agents elsewhere that ask people for input: asked once, answered from anywhere, and never open longer than anybody waits."""

from __future__ import annotations

import pytest

from tests.unit.approvals.stories import answer, asked, given
from tests.unit.approvals.world import World
from trunkline.contracts.approval import ApprovalDecided, ApprovalRequested, ApprovalWithdrawn, DecidedBy, Verdict
from trunkline.contracts.calls import Allowance, Scope
from trunkline.contracts.errors import Denied, Invalid
from trunkline.contracts.instance import InstanceAsked, InstanceMoved, InstanceSaid, InstanceStatus, InstanceTold
from trunkline.contracts.message import Fact
from trunkline_approvals.model import Answered, Question, open_questions, question

M1, M2 = "1" * 32, "2" * 32
AWAITS = InstanceMoved(status=InstanceStatus.AWAITING_INPUT, was=InstanceStatus.ACTIVE)
KILLED = InstanceMoved(status=InstanceStatus.KILLED, was=InstanceStatus.ACTIVE)
RED = Allowance(answer="Red.")


def says(message: str = M1, text: str = "Which colour?", *, asks: bool = True, closes: str = "") -> InstanceSaid:
    return InstanceSaid(message_id=message, text=text, asks=asks, closes=closes)


def told(text: str = "Red.", answers: str = M1, approval: str = "") -> InstanceTold:
    return InstanceTold(message_id=M2, text=text, by="bob", answers=answers, approval_id=approval)


def log(world: World, message: str = M1) -> list[Fact]:
    return world.logs.get(f"evt.acme.t1.approval-q{message}", [])


def types(world: World, message: str = M1) -> list[str]:
    return [str(fact.model_dump()["type"]) for fact in log(world, message)]


async def test_what_wants_input_is_asked_once_however_often_it_is_heard() -> None:
    world = World()
    await world.instance_says(says(), AWAITS)
    await world.hear_instance(says(), AWAITS)
    (question,) = log(world)
    assert isinstance(question, ApprovalRequested)
    assert (question.kind, question.subject, question.requested_by) == ("input", "Which colour?", "instance:t1")
    assert question.about == {"question": "Which colour?", "instance": "t1", "surface": "omnara", "offers": ["answer"]}


async def test_what_wants_no_input_is_not_asked() -> None:
    world = World()
    await world.instance_says(says(asks=False))
    assert world.logs.keys() == {"evt.acme.t1.instance"}


@pytest.mark.parametrize(("text", "shown"), [("", "Which colour?"), ("Red or blue?", "Red or blue?")])
async def test_a_message_that_wants_input_later_is_asked_with_what_it_said(text: str, shown: str) -> None:
    world = World()
    await world.instance_says(says(asks=False))
    await world.instance_says(InstanceAsked(message_id=M1, text=text), AWAITS)
    (question,) = log(world)
    assert isinstance(question, ApprovalRequested) and question.subject == shown


async def test_nobody_is_asked_where_the_answer_lay_there_already() -> None:
    world = World()
    await world.instance_says(says(asks=False))
    await world.instance_says(InstanceAsked(message_id=M1, text="Which colour?", gave=(M2,)))
    assert log(world) == []


async def test_an_answer_given_to_the_agent_decides_the_approval() -> None:
    world = World()
    await world.instance_says(says())
    await world.instance_says(told())
    await world.hear_instance(told())
    _, decided = log(world)
    assert isinstance(decided, ApprovalDecided)
    assert (decided.verdict, decided.decided_by, decided.by, decided.allowance) == (Verdict.APPROVED, DecidedBy.HUMAN, "bob", RED)


async def test_an_answer_that_came_from_the_approval_changes_nothing_there() -> None:
    world = World()
    await world.instance_says(says())
    await world.commands().decide(answer(approval_id=f"q{M1}", digest=None, allowance=RED))
    await world.instance_says(told(approval=f"q{M1}"))
    assert types(world) == ["approval.requested", "approval.decided"]


async def test_an_answer_that_is_heard_before_its_question_leaves_nothing_to_ask() -> None:
    world = World()
    await world.hear_instance(told())
    await world.hear_instance(says())
    assert types(world) == ["approval.withdrawn"]


async def test_a_long_answer_is_kept_as_far_as_an_approval_holds_it() -> None:
    world = World()
    await world.instance_says(says())
    await world.instance_says(told("x" * 200_000))
    decided = log(world)[-1]
    assert isinstance(decided, ApprovalDecided) and decided.allowance
    assert len(decided.allowance.answer or "") == 64 << 10


async def test_the_next_message_of_the_agent_takes_the_question_back() -> None:
    world = World()
    await world.instance_says(says())
    await world.instance_says(says(M2, "I took red.", asks=False, closes=M1))
    assert types(world) == ["approval.requested", "approval.withdrawn"]


async def test_a_question_after_a_question_leaves_one_open() -> None:
    world = World()
    await world.instance_says(says())
    await world.instance_says(says(M2, "And the size?", closes=M1))
    assert (types(world), types(world, M2)) == (["approval.requested", "approval.withdrawn"], ["approval.requested"])


async def test_no_question_outlives_its_agent() -> None:
    world = World()
    await world.instance_says(says())
    await world.instance_says(KILLED)
    assert types(world) == ["approval.requested", "approval.withdrawn"]


async def test_an_end_that_is_heard_before_the_question_keeps_it_from_being_asked() -> None:
    world = World()
    world.say(says(), KILLED, subject="evt.acme.t1.instance")
    await world.hear_instance(KILLED)
    await world.hear_instance(says())
    assert types(world) == ["approval.withdrawn"]


async def test_what_can_never_be_asked_stops_nobody() -> None:
    world = World()
    await world.instance_says(says("m" * 64))
    await world.instance_says(InstanceSaid(message_id=M2, text="On.", closes="m" * 64))
    assert world.logs.keys() == {"evt.acme.t1.instance"}


def test_open_is_what_was_asked_and_neither_answered_nor_given_up() -> None:
    assert open_questions([says()]) == (M1,)
    assert open_questions([says(), told()]) == ()
    assert open_questions([says(), says(M2, closes=M1)]) == (M2,)
    assert open_questions([says(asks=False), InstanceAsked(message_id=M1, text="")]) == (M1,)
    assert open_questions([says(asks=False), InstanceAsked(message_id=M1, text="", gave=(M2,))]) == ()


def test_a_long_question_is_cut_and_one_without_words_says_so() -> None:
    at = answer().at
    long = question(Question("t1", M1, "a b\n" * 10_000), "acme", at)
    assert (len(long.subject), len(str(long.about["question"]))) == (500, 8000)
    assert long.subject.startswith("a b a b")
    assert question(Question("t1", M1, " \n"), "acme", at).subject == "The agent wants input, and says nothing more."
    assert long.digest != question(Question("t1", M2, "a b\n" * 10_000), "acme", at).digest


WANTS = asked(kind="input", requested_by="instance:t1", about={"offers": ["answer"]})


def test_a_yes_to_it_holds_the_answer() -> None:
    (decided,) = given(WANTS).when(answer(allowance=RED))
    assert isinstance(decided, ApprovalDecided) and decided.allowance == RED


@pytest.mark.parametrize("allowance", [None, {}, {"answer": " \n"}])
def test_a_yes_without_an_answer_is_refused(allowance: object) -> None:
    with pytest.raises(Invalid) as refusal:
        given(WANTS).when(answer(allowance=allowance))
    assert refusal.value.code == "ANSWER_NEEDED"


@pytest.mark.parametrize("more", [{"scope": Scope.RUN}, {"usd": 1.0}, {"input": {}}])
def test_nothing_else_is_offered_there(more: dict[str, object]) -> None:
    with pytest.raises(Invalid) as refusal:
        given(WANTS).when(answer(allowance={"answer": "Red.", **more}))
    assert refusal.value.code == "NOT_OFFERED"


def test_an_answer_is_refused_where_nobody_asked_for_one() -> None:
    with pytest.raises(Invalid) as refusal:
        given(asked(about={"offers": ["once", "run"]})).when(answer(allowance=RED))
    assert refusal.value.code == "NOT_OFFERED"


def test_a_refusal_needs_no_answer_and_holds_none() -> None:
    (decided,) = given(WANTS).when(answer(Verdict.REJECTED, reason="Ask somebody else."))
    assert isinstance(decided, ApprovalDecided) and decided.verdict is Verdict.REJECTED
    with pytest.raises(Invalid):
        given(WANTS).when(answer(Verdict.REJECTED, allowance=RED))


def test_whoever_submitted_the_task_may_answer_and_a_reader_may_not() -> None:
    assert given(WANTS).when(answer(by="dev-agent", role="agent", allowance=RED))
    with pytest.raises(Denied):
        given(WANTS).when(answer(by="ann", role="user", allowance=RED))


def test_what_was_withdrawn_stays_so_when_an_answer_comes_late() -> None:
    late = Answered("acme", "t1", "a7", "Red.", "bob")
    assert given(WANTS, ApprovalWithdrawn(approval_id="a7", reason="the agent is done")).when(late) == ()
    assert given(ApprovalWithdrawn(approval_id="a7", reason="early")).when(late) == ()
