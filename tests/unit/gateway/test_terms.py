"""What a caller demands of its own task adds up: rules on rules, the smaller budget, and nothing that was there becomes looser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.contracts.calls import Ruling, ToolRule
from trunkline.contracts.errors import Invalid
from trunkline.contracts.task import Assignment
from trunkline_gateway.usecases.terms import MOST_RULES, Terms, under

ASK, DENY = (ToolRule(tool="Bash", argument="git push*", then=then) for then in (Ruling.ASK, Ruling.DENY))
BUDGETS = st.none() | st.floats(min_value=0.000_001, max_value=1e6)


def test_a_task_has_the_rules_and_the_budget_that_were_asked_for() -> None:
    held = under(Assignment(), Terms((ASK, DENY), 2.5))
    assert (held.tool_rules, held.budget_usd) == ((ASK, DENY), 2.5)
    assert under(Assignment(), Terms()) == Assignment()


def test_rules_that_were_taken_over_stay_and_none_stands_there_twice() -> None:
    before = under(Assignment(), Terms((DENY,)))
    assert under(before, Terms()).tool_rules == (DENY,)
    assert under(before, Terms((DENY, ASK))).tool_rules == (DENY, ASK)


@given(BUDGETS, BUDGETS)
def test_of_two_budgets_the_smaller_holds(taken_over: float | None, given: float | None) -> None:
    held = under(Assignment(budget_usd=taken_over), Terms(budget_usd=given)).budget_usd
    assert held == min((usd for usd in (taken_over, given) if usd is not None), default=None)


def test_rules_cannot_pile_up_from_task_to_task() -> None:
    full = under(Assignment(), Terms(tuple(ToolRule(argument=f"a{number}", then=Ruling.ASK) for number in range(MOST_RULES))))
    with pytest.raises(Invalid) as refused:
        under(full, Terms((ASK,)))
    assert refused.value.code == "TOO_MANY_RULES"


@pytest.mark.parametrize("field", ["tool", "argument", "reason"])
def test_a_secret_is_not_kept_as_a_rule(field: str) -> None:
    secret = "ghp_" + "a1B2" * 9
    with pytest.raises(Invalid) as refused:
        under(Assignment(), Terms((DENY.model_copy(update={field: f"x {secret}"}),)))
    assert refused.value.code == "SECRET_IN_RULE" and secret not in refused.value.message
