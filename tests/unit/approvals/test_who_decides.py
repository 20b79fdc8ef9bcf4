"""Who may decide, how many of them must agree, and what one rejection does."""

from __future__ import annotations

import pytest

from tests.unit.approvals.stories import DIGEST, HOUR, answer, asked, decided, escalated, folded, given, voted
from trunkline.contracts.approval import ApprovalPolicy, FourEyes, OnExpiry, Stage, Verdict
from trunkline.contracts.errors import Conflict, Denied
from trunkline_approvals.model import standing

NO = Verdict.REJECTED
TWO_OF_MANY = ApprovalPolicy(first=Stage(quorum=2))
TWO_WITHOUT_VETO = ApprovalPolicy(first=Stage(quorum=2), veto=False)
NAMED = ApprovalPolicy(first=Stage(roles=("admin",), names=("ann", "bob")))
CHAIN = ApprovalPolicy(
    first=Stage(roles=("approver",), quorum=3), on_expiry=OnExpiry.ESCALATE, escalation=(Stage(roles=("admin",), names=("zoe",), quorum=2),)
)


@pytest.mark.parametrize(("role", "by"), [("admin", "root"), ("user", "ann"), ("agent", "bob")])
def test_a_role_may_decide_and_so_may_a_name(role: str, by: str) -> None:
    assert given(asked(NAMED)).when(answer(role=role, by=by)) == (decided(role=role, by=by),)


@pytest.mark.parametrize(("role", "by"), [("approver", "eve"), ("agent", "Ann"), ("admins", "eve")])
def test_nobody_else_may(role: str, by: str) -> None:
    with pytest.raises(Denied) as refusal:
        given(asked(NAMED)).when(answer(role=role, by=by))
    assert refusal.value.code == "NOT_ENTITLED"


@pytest.mark.parametrize(
    ("rule", "role", "allowed"),
    [
        (FourEyes.ON, "agent", False),
        (FourEyes.ON, "admin", True),
        (FourEyes.STRICT, "admin", False),
        (FourEyes.OFF, "agent", True),
    ],
)
@pytest.mark.parametrize("verdict", Verdict)
def test_whoever_asked_decides_only_where_the_rule_lets_them(rule: FourEyes, role: str, allowed: bool, verdict: Verdict) -> None:
    question = given(asked(ApprovalPolicy(four_eyes=rule)))
    own = answer(verdict, by="dev-agent", role=role)
    if allowed:
        assert question.when(own) == (decided(verdict, by="dev-agent", role=role),)
        return
    with pytest.raises(Denied) as refusal:
        question.when(own)
    assert refusal.value.code == "OWN_REQUEST"


def test_the_second_of_two_decides() -> None:
    assert given(asked(TWO_OF_MANY)).when(answer()) == (voted("ann"),)
    assert given(asked(TWO_OF_MANY), voted("ann")).when(answer(by="bob")) == (decided(by="bob"),)


def test_one_person_does_not_count_twice() -> None:
    half = given(asked(TWO_OF_MANY), voted("ann"))
    for again in (answer(decision_id="d2"), answer(decision_id="d2", role="admin"), answer(NO, decision_id="d2")):
        with pytest.raises(Conflict) as refusal:
            half.when(again)
        assert refusal.value.code == "ALREADY_VOTED"


@pytest.mark.parametrize("by", ["Ann", "ANN", "\uff41\uff4e\uff4e"])
def test_one_person_does_not_count_twice_by_another_spelling_of_the_same_name(by: str) -> None:
    """An API key ANN is `ann`; a token may call the same person `Ann`."""
    with pytest.raises(Conflict) as refusal:
        given(asked(TWO_OF_MANY), voted("ann")).when(answer(by=by, decision_id="d2"))
    assert refusal.value.code == "ALREADY_VOTED"


@pytest.mark.parametrize("by", ["Dev-Agent", "DEV-AGENT"])
def test_another_spelling_of_the_same_name_is_not_somebody_else_than_who_asked(by: str) -> None:
    with pytest.raises(Denied) as refusal:
        given(asked()).when(answer(by=by, role="agent"))
    assert refusal.value.code == "OWN_REQUEST"


def test_a_vote_that_is_sent_again_is_taken_and_writes_nothing_also_when_others_decided_since() -> None:
    assert given(asked(TWO_OF_MANY), voted("ann")).when(answer()) == ()
    assert given(asked(TWO_OF_MANY), voted("ann"), decided(by="bob")).when(answer()) == ()


def test_the_same_id_with_another_word_is_no_repeat() -> None:
    with pytest.raises(Conflict):
        given(asked(TWO_OF_MANY), voted("ann")).when(answer(NO))


def test_one_rejection_is_a_veto() -> None:
    assert given(asked(TWO_OF_MANY), voted("ann")).when(answer(NO, by="bob")) == (decided(NO, by="bob"),)


def test_without_a_veto_as_many_must_reject_as_approve() -> None:
    assert given(asked(TWO_WITHOUT_VETO)).when(answer(NO)) == (voted("ann", NO),)
    split = given(asked(TWO_WITHOUT_VETO), voted("ann", NO), voted("bob"))
    assert split.when(answer(NO, by="eve")) == (decided(NO, by="eve"),)
    assert split.when(answer(by="eve")) == (decided(by="eve"),)


def test_an_escalation_asks_more_people_and_lets_the_others_decide_on() -> None:
    with pytest.raises(Denied):
        given(asked(CHAIN)).when(answer(by="root", role="admin"))
    for by, role in (("root", "admin"), ("zoe", "user"), ("cid", "approver")):
        (fact,) = given(asked(CHAIN), escalated()).when(answer(by=by, role=role))
        assert fact.model_dump()["by"] == by


def test_votes_stay_and_the_quorum_of_the_newest_stage_that_asks_somebody_counts_for_their_word() -> None:
    votes = (asked(CHAIN), voted("ann"), voted("bob"))
    assert given(*votes).when(answer(by="cid")) == (decided(by="cid"),)
    assert given(asked(CHAIN), voted("ann")).when(answer(by="bob")) == (voted("bob"),)
    for by, role in (("root", "admin"), ("zoe", "approver")):
        assert given(asked(CHAIN), voted("ann"), escalated()).when(answer(by=by, role=role)) == (decided(by=by, role=role),)


def test_silence_does_not_make_fewer_of_those_enough_who_were_asked_before() -> None:
    assert given(asked(CHAIN), voted("ann"), escalated()).when(answer(by="bob")) == (voted("bob"),)
    assert given(asked(CHAIN), voted("ann"), voted("bob"), escalated()).when(answer(by="cid")) == (decided(by="cid"),)
    state = folded(asked(CHAIN), voted("ann"), escalated(), voted("bob"))
    assert standing(state, answer(by="bob")).model_dump(include={"votes", "quorum"}) == {"votes": 2, "quorum": 3}


def test_a_stage_that_needs_more_people_needs_them_of_everybody() -> None:
    stricter = CHAIN.model_copy(update={"first": Stage(roles=("approver",))})
    assert given(asked(stricter), escalated()).when(answer(by="bob")) == (voted("bob"),)


def test_an_answer_counts_who_agrees_and_how_many_must() -> None:
    state = folded(asked(TWO_WITHOUT_VETO), voted("ann"), voted("eve", NO))
    assert standing(state, answer()).model_dump(include={"status", "votes", "quorum"}) == {"status": "pending", "votes": 1, "quorum": 2}
    ended = folded(asked(TWO_WITHOUT_VETO), voted("ann"), voted("eve", NO), decided(by="bob"))
    assert standing(ended, answer()).model_dump(include={"status", "votes", "quorum"}) == {"status": "approved", "votes": 2, "quorum": 2}


def test_every_decision_names_the_act() -> None:
    (fact,) = given(asked(ApprovalPolicy(first=HOUR))).when(answer(digest=None))
    assert fact.model_dump()["digest"] == DIGEST
