"""What a yes may hold beyond yes: what was offered, one meaning, and for the tool that was asked about."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.approvals.stories import answer, asked, decided, given, voted
from trunkline.contracts.approval import ApprovalDecided, ApprovalPolicy, ApprovalRequested, Stage, Verdict
from trunkline.contracts.calls import Allowance, Ruling, Scope, ToolRule
from trunkline.contracts.errors import Conflict, DomainError, Invalid

ONE = ApprovalPolicy()
TWO = ApprovalPolicy(first=Stage(quorum=2))
MAKE = ToolRule(tool="Bash", argument="make *", then=Ruling.ALLOW)
FOR_RUN = Allowance(scope=Scope.RUN)
BY_RULE = Allowance(scope=Scope.RUN, rule=MAKE)
REWRITTEN = Allowance(input={"command": "make check"})
MORE = Allowance(usd=5.0)


def call(policy: ApprovalPolicy = TWO, offers: object = ("once", "run", "rewrite")) -> ApprovalRequested:
    about = {"tool": "Bash", "argument": "make test", "offers": list(offers) if isinstance(offers, tuple) else offers}
    return asked(policy, kind="tool_call", requested_by="agent:claude", about=about)


def only(offers: object = ("once", "run", "rewrite")) -> ApprovalRequested:
    """A question that one person decides."""
    return call(ONE, offers)


@pytest.mark.parametrize("allowance", [FOR_RUN, BY_RULE, REWRITTEN])
def test_what_was_offered_is_allowed_and_stands_in_the_decision(allowance: Allowance) -> None:
    (fact,) = given(only()).when(answer(allowance=allowance))
    assert isinstance(fact, ApprovalDecided)
    assert fact.allowance == allowance
    assert fact.digest == call().digest


def test_more_may_be_spent_where_a_budget_was_asked_about() -> None:
    (fact,) = given(only(offers=("usd",))).when(answer(allowance=MORE))
    assert isinstance(fact, ApprovalDecided) and fact.allowance == MORE


@pytest.mark.parametrize("allowance", [FOR_RUN, BY_RULE, REWRITTEN, MORE])
@pytest.mark.parametrize("offers", [("once",), (), None, "run rewrite usd", {"run": True}])
def test_what_was_not_offered_is_refused(allowance: Allowance, offers: object) -> None:
    with pytest.raises(Invalid) as refusal:
        given(only(offers=offers)).when(answer(allowance=allowance))
    assert refusal.value.code == "NOT_OFFERED"


def test_an_allowance_that_says_nothing_is_a_plain_yes_also_where_nothing_is_offered() -> None:
    assert given(asked()).when(answer(allowance=Allowance())) == (decided(),)


def test_a_rejection_holds_nothing_but_its_reason() -> None:
    with pytest.raises(Invalid) as refusal:
        given(only()).when(answer(Verdict.REJECTED, allowance=FOR_RUN))
    assert refusal.value.code == "NOT_OFFERED"
    assert given(only()).when(answer(Verdict.REJECTED, allowance=Allowance())) == (decided(Verdict.REJECTED),)


@pytest.mark.parametrize(
    "allowance",
    [
        pytest.param({"rule": MAKE}, id="a-rule-for-one-call"),
        pytest.param({"scope": "run", "rule": MAKE.model_copy(update={"then": Ruling.DENY})}, id="a-rule-that-denies"),
        pytest.param({"scope": "run", "rule": {"tool": "Write", "then": "allow"}}, id="a-rule-for-another-tool"),
        pytest.param({"scope": "run", "rule": {"tool": "*", "then": "allow"}}, id="a-rule-for-every-tool"),
        pytest.param({"scope": "run", "rule": {"tool": "Ba?h", "then": "allow"}}, id="a-rule-for-tools-of-a-pattern"),
        pytest.param({"scope": "run", "input": {"command": "ls"}}, id="a-rewrite-for-the-run"),
        pytest.param({"input": {"command": "x" * 70_000}}, id="a-rewrite-that-is-too-long"),
    ],
)
def test_what_makes_no_sense_is_refused(allowance: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        given(only()).when(answer(allowance=allowance))
    assert refusal.value.code == "BAD_ALLOWANCE"


def test_those_who_vote_must_mean_the_same() -> None:
    half = given(call(), voted("ann", allowance=BY_RULE))
    (fact,) = half.when(answer(by="bob", allowance=BY_RULE))
    assert isinstance(fact, ApprovalDecided) and fact.allowance == BY_RULE
    for other in (None, FOR_RUN, REWRITTEN):
        with pytest.raises(Conflict) as refusal:
            half.when(answer(by="bob", allowance=other))
        assert refusal.value.code == "ALLOWANCE_DIFFERS"
        assert "ann" in refusal.value.message


@pytest.mark.parametrize(("one", "other"), [({"n": 1}, {"n": True}), ({"n": 0}, {"n": False}), ({"n": 1}, {"n": 1.5})])
def test_what_python_takes_for_the_same_is_not_the_same_to_a_tool(one: dict[str, Any], other: dict[str, Any]) -> None:
    with pytest.raises(Conflict):
        given(call(), voted("ann", allowance=Allowance(input=one))).when(answer(by="bob", allowance={"input": other}))


def test_a_rejection_ends_what_others_would_allow_differently() -> None:
    assert given(call(), voted("ann", allowance=BY_RULE)).when(answer(Verdict.REJECTED, by="bob")) == (decided(Verdict.REJECTED, by="bob"),)


def test_votes_against_do_not_bind_those_who_agree() -> None:
    lenient = TWO.model_copy(update={"veto": False})
    (fact,) = given(call(lenient), voted("ann", Verdict.REJECTED)).when(answer(by="bob", allowance=FOR_RUN))
    assert fact.model_dump()["allowance"]["scope"] == "run"


def test_the_same_decision_again_writes_nothing_and_with_another_meaning_it_is_none() -> None:
    half = given(call(), voted("ann", allowance=BY_RULE))
    assert half.when(answer(allowance=BY_RULE)) == ()
    with pytest.raises(DomainError) as refusal:
        half.when(answer(allowance=FOR_RUN))
    assert refusal.value.code == "ALREADY_VOTED"


def test_whoever_may_not_decide_learns_nothing_of_what_is_offered() -> None:
    with pytest.raises(DomainError) as refusal:
        given(only(offers=())).when(answer(role="user", allowance=FOR_RUN))
    assert refusal.value.code == "NOT_ENTITLED"


@pytest.mark.parametrize(("kind", "requested_by", "code"), [("tool_call", "agent:claude", ""), ("budget", "ann", "OWN_REQUEST")])
def test_whoever_gave_the_task_decides_its_calls_and_not_its_budget(kind: str, requested_by: str, code: str) -> None:
    question = given(asked(kind=kind, requested_by=requested_by))
    if not code:
        assert question.when(answer(by="ann", role="agent")) == (decided(role="agent"),)
        return
    with pytest.raises(DomainError) as refusal:
        question.when(answer(by="ann", role="agent"))
    assert refusal.value.code == code
