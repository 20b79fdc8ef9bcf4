"""What models cost, added up by day and model, whatever the batches, and seen by nobody else."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from tests.unit.relay.timelines import NOON, Line, line
from tests.unit.relay.views import folded
from trunkline.contracts.errors import Invalid
from trunkline.contracts.spend import ModelAnswered
from trunkline.contracts.usage import GetUsage, UsageRow
from trunkline_relay.adapters.sqlite_views import SqliteViews
from trunkline_relay.handlers.answer_usage import AnswerUsage

DAY = NOON.date()


def answered(seq: int, model: str = "sonnet", tenant: str = "acme", **more: Any) -> Line:
    fact = {
        "attempt": 1,
        "sitting": 1,
        "request": f"r{seq}",
        "shape": "anthropic",
        "status": 200,
        "input_tokens": 10,
        "output_tokens": 2,
        "usd": 0.5,
    }
    return line(seq, "t1", "spend", ModelAnswered.model_validate({**fact, "model": model, **more}), tenant=tenant)


def used(views: SqliteViews, tenant: str = "acme", since: date = DAY, until: date = DAY) -> tuple[UsageRow, ...]:
    return views.usage(GetUsage(tenant=tenant, at=NOON, since=since, until=until)).rows


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_answers_of_one_model_add_up_and_each_model_has_its_row(batch: int) -> None:
    views = folded([answered(1), answered(2, cached_tokens=4), answered(3, "opus", usd=3.0), answered(4)], batch)

    opus, sonnet = used(views)
    assert (opus.model, opus.requests, opus.cost_usd) == ("opus", 1, 3.0)
    assert (sonnet.requests, sonnet.input_tokens, sonnet.cached_tokens, sonnet.output_tokens, sonnet.cost_usd) == (3, 30, 4, 6, 1.5)


def test_a_model_whose_price_nobody_knows_has_tokens_and_no_cost() -> None:
    (row,) = used(folded([answered(1), answered(2, priced=False, estimated=True)]))
    assert (row.requests, row.cost_usd, row.estimated) == (2, None, True)


def test_a_tenth_of_a_cent_is_not_lost_in_ten_thousand_answers() -> None:
    (row,) = used(folded([answered(number, usd=0.000_1) for number in range(1, 10_001)]))
    assert row.cost_usd == pytest.approx(1.0)


def test_another_tenant_sees_nothing_of_it() -> None:
    views = folded([answered(1), answered(2, tenant="umbrella")])
    assert len(used(views)) == len(used(views, "umbrella")) == 1
    assert used(views, "initech") == ()


def test_only_the_days_asked_for_are_told() -> None:
    views = folded([answered(1)])
    assert used(views, since=DAY + timedelta(1), until=DAY + timedelta(9)) == ()
    assert used(views, since=DAY - timedelta(9), until=DAY - timedelta(1)) == ()


@pytest.mark.parametrize("days", [-1, 366, 100_000])
async def test_a_time_that_is_none_or_too_long_is_refused(days: int) -> None:
    async def settled() -> None: ...

    with pytest.raises(Invalid):
        await AnswerUsage(folded([]), settled)(GetUsage(tenant="acme", at=NOON, since=DAY, until=DAY + timedelta(days)))
