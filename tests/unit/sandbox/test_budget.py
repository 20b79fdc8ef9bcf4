"""Budgets: what is used up, what raising it does, and sums that are exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.contracts.run import Usage
from trunkline.contracts.spend import ModelAnswered, micro
from trunkline_sandbox.model.budget import BudgetLimits, BudgetScope, Totals, UsedUp, dollars, lower, used_up

TASK, DAY = BudgetScope.TASK, BudgetScope.DAY


def answer(usd: float, **more: object) -> ModelAnswered:
    return ModelAnswered.model_validate({"attempt": 1, "sitting": 1, "request": "r", "shape": "openai", "status": 200, "usd": usd, **more})


def spent(*usd: float) -> Totals:
    totals = Totals()
    for each in usd:
        totals = totals.plus(answer(each))
    return totals


def test_without_limits_nothing_is_ever_used_up() -> None:
    assert used_up(BudgetLimits(), spent(1e6), 10**15) is None


def test_a_limit_is_used_up_once_it_is_reached() -> None:
    assert used_up(BudgetLimits(task_usd=1), spent(0.999999), 0) is None
    assert used_up(BudgetLimits(task_usd=1), spent(0.4, 0.6), 0) == UsedUp(TASK, 1, 1.0)


def test_the_day_of_the_tenant_has_a_limit_of_its_own() -> None:
    assert used_up(BudgetLimits(task_usd=5, tenant_day_usd=10), spent(1), micro(12.5)) == UsedUp(DAY, 10, 12.5)


def test_the_limit_of_the_task_is_named_first() -> None:
    assert used_up(BudgetLimits(1, 1), spent(2), micro(2)) == UsedUp(TASK, 1, 2.0)


def test_a_raise_is_for_one_limit_and_leaves_the_other() -> None:
    limits = BudgetLimits(1, 2)

    assert limits.raised(TASK, 3) == BudgetLimits(4, 2)
    assert limits.raised(DAY, 3) == BudgetLimits(1, 5)


def test_what_has_no_limit_gets_none_by_a_raise() -> None:
    assert BudgetLimits().raised(TASK, 3) == BudgetLimits()


def test_a_task_may_lower_what_is_configured_but_not_raise_it() -> None:
    assert lower(None, 5) == 5
    assert lower(2, 5) == 2
    assert lower(9, 5) == 5
    assert lower(9, 0) == 9
    assert lower(None, 0) == 0


def test_totals_keep_what_is_uncertain_apart() -> None:
    totals = Totals().plus(answer(1, priced=False, input_tokens=10, cached_tokens=4)).plus(answer(2, estimated=True, output_tokens=3))

    assert totals == Totals(2, 10, 4, 3, 3_000_000, unpriced=1, estimated=1)
    assert totals.usd == 3.0


def test_what_was_used_is_the_sum_of_the_answers_and_the_last_model_that_answered() -> None:
    first = Totals().plus(answer(1, model="first", input_tokens=10, output_tokens=2))
    assert first.plus(answer(0.5, model="", input_tokens=5)).usage == Usage(model="first", input_tokens=15, output_tokens=2, cost_usd=1.5)
    assert first.plus(answer(0, model="second")).plus(answer(0, model="refused", status=529)).usage.model == "second"


def test_what_nobody_counted_is_unknown_and_so_is_the_cost_of_an_unknown_model() -> None:
    assert Totals().usage == Usage()
    assert spent(1).plus(answer(9, priced=False, input_tokens=3)).usage == Usage(input_tokens=3, output_tokens=0)
    assert Totals().plus(answer(0, model="at home", input_tokens=3)).usage.cost_usd == 0


@given(st.lists(st.integers(0, 10**9), max_size=50))
def test_sums_are_exact_however_many_there_are(millionths: list[int]) -> None:
    assert spent(*(each / 1e6 for each in millionths)).micro_usd == sum(millionths)


@pytest.mark.parametrize(
    ("usd", "told"), [(12.3456, "12.35"), (1, "1.00"), (0.5, "0.5000"), (0.015, "0.0150"), (0.000_93, "0.000930"), (0, "0.000000")]
)
def test_small_sums_are_told_with_as_many_places_as_say_something(usd: float, told: str) -> None:
    assert dollars(usd) == told
