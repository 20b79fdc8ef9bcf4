"""Prices: those of the settings before the known ones, dated and hosted names too, and an unknown model is never cheap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from trunkline_sandbox.adapters.model.prices import KNOWN, Prices, plain
from trunkline_sandbox.adapters.model.usage import Usage
from trunkline_sandbox.settings import PriceSetting

MILLION = Usage("claude-opus-4-5", input_tokens=1_000_000, output_tokens=1_000_000)


def cost(model: str, usage: Usage = MILLION, **settings: PriceSetting) -> tuple[float, bool]:
    usd, priced = Prices({name.replace("_", "-"): price for name, price in settings.items()}).cost(replace(usage, model=model))
    return pytest.approx(usd), priced


def test_a_known_model_costs_its_list_price() -> None:
    assert cost("claude-opus-4-5") == (30.0, True)


def test_cached_input_is_cheaper_and_what_is_put_into_the_cache_dearer() -> None:
    usage = Usage("claude-opus-4-5", input_tokens=400, cached_tokens=100, written_tokens=100, written_long_tokens=100, output_tokens=100)

    assert cost("claude-opus-4-5", usage) == ((100 * 5 + 100 * 0.5 + 100 * 6.25 + 100 * 10 + 100 * 25) / 1e6, True)


def test_very_long_requests_cost_more_where_the_model_says_so() -> None:
    short, long = (Usage("m", input_tokens=size, output_tokens=1000) for size in (272_000, 272_001))

    assert cost("gpt-5.5", short)[0] == (272_000 * 5 + 1000 * 30) / 1e6
    assert cost("gpt-5.5", long)[0] == (272_001 * 10 + 1000 * 45) / 1e6


NAMES = [
    ("claude-opus-4-5-20251101", "claude-opus-4-5"),
    ("claude-opus-4-5@20251101", "claude-opus-4-5"),
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
    ("anthropic/claude-opus-5", "claude-opus-5"),
    ("claude-opus-4-0", "claude-opus-4"),
    ("claude-opus-4-20250514", "claude-opus-4"),
    ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5"),
    ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
    ("GPT-5.5-2026-04-23", "gpt-5.5"),
    ("openai/gpt-5-mini-2025-08-07", "gpt-5-mini"),
]


@each(("name", "known"), NAMES)
def test_a_dated_or_hosted_name_is_the_model_that_it_names(name: str, known: str) -> None:
    assert plain(name) == known
    assert known in KNOWN
    assert cost(name)[1] is True


def test_a_model_of_another_size_is_not_taken_for_the_one_whose_name_it_begins_with() -> None:
    assert cost("gpt-5-giant")[1] is False
    assert cost("claude-opus-4-99")[1] is False


def test_an_unknown_model_costs_as_much_as_the_dearest_of_its_kind_and_says_so() -> None:
    assert cost("claude-unheard-of") == (90.0, False)
    assert cost("qwen3") == (330.0, False)
    assert cost("") == (330.0, False)


def test_the_settings_win_over_what_is_known_and_the_longest_pattern_over_shorter_ones() -> None:
    settings = {"claude_*": PriceSetting(input=1, output=1), "claude_opus_*": PriceSetting(input=2, output=2)}

    assert cost("claude-opus-4-5", **settings) == (4.0, True)
    assert cost("claude-haiku-4-5", **settings) == (2.0, True)
    assert cost("claude-opus-4-5", **settings, claude_opus_4_5=PriceSetting(input=0, output=0)) == (0.0, True)


def test_a_dear_model_of_the_settings_is_the_dearest_for_unknown_ones() -> None:
    assert cost("qwen3", mine=PriceSetting(input=500, output=500)) == (1000.0, False)


def test_where_the_answer_names_no_model_the_one_that_was_asked_for_is_priced() -> None:
    assert Prices().cost(replace(MILLION, model=""), "claude-opus-4-5") == (30.0, True)


@given(st.text(max_size=200))
def test_any_name_has_a_price(name: str) -> None:
    assert Prices({"*x": PriceSetting(input=1, output=1)}).cost(Usage(name, input_tokens=1))[0] > 0
