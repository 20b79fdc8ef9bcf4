"""What a limit may be called, how it is written, and what one process counts by itself."""

from __future__ import annotations

import pytest

from tests.each import each
from trunkline.bus import Rule, key_of
from trunkline.contracts.errors import Invalid
from trunkline.runtime.settings import load
from trunkline_gateway.settings import LIMITS, Settings
from trunkline_gateway.windows import Closed, Windows


@pytest.mark.parametrize(
    ("text", "rule"),
    [("10/minute", Rule(10, 60)), ("5/hour", Rule(5, 3600)), ("1000/day", Rule(1000, 86400)), ("50/5s", Rule(50, 5))],
)
def test_a_limit_is_written_in_words(text: str, rule: Rule) -> None:
    assert Rule.of(text) == rule


@each("text", ["", "10", "0/minute", "-1/minute", "1000000000/minute", "10/fortnight", "10/0s", "10/minute ", "1.5/hour"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no limit"):
        Rule.of(text)


def test_the_limits_of_the_orchestrator_api_are_the_default() -> None:
    rules = Settings().rules()
    documented = {"tasks.create": 10, "tasks.read": 30, "tasks.status": 10, "events.publish": 20, "approvals.read": 5}
    documented |= {"approvals.approve": 5, "approvals.reject": 5, "stats": 30}
    assert {name: rules[name] for name in documented} == {name: (Rule(limit, 60),) for name, limit in documented.items()}


def test_a_name_that_is_given_replaces_its_default_and_no_other() -> None:
    rules = Settings.model_validate({"limits": {"stats": ["100/hour", "7/5s"]}}).rules()
    assert rules["stats"] == (Rule(7, 5), Rule(100, 3600))
    assert {**rules, "stats": ()} == {**Settings().rules(), "stats": ()}
    assert rules.keys() == LIMITS.keys()


def test_the_tiers_of_the_pr_agent_api_are_the_default() -> None:
    rules = Settings().rules()
    assert rules["execute.anonymous"] == (Rule(1, 60), Rule(2, 3600), Rule(3, 86400))
    assert rules["execute.authenticated"] == (Rule(2, 60), Rule(5, 3600), Rule(10, 86400))
    assert rules["execute.pro"] == (Rule(10, 60),)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "trunkline.test", "https://a b"])
def test_where_one_gets_more_is_a_web_page(url: str) -> None:
    with pytest.raises(Invalid, match="UPGRADE_URL"):
        load(Settings, environ={"TRUNKLINE_UPGRADE_URL": url})


@pytest.mark.parametrize("text", ["stats=7/5s,tasks.read=100/hour", '{"stats": "7/5s", "tasks.read": ["100/hour"]}'])
def test_a_variable_says_it_in_words_or_json(text: str) -> None:
    rules = load(Settings, environ={"TRUNKLINE_LIMITS": text}).settings.rules()
    assert (rules["stats"], rules["tasks.read"]) == ((Rule(7, 5),), (Rule(100, 3600),))


@pytest.mark.parametrize("text", ["stat=7/5s", "stats=often", "stats", '{"stats": []}', '{"stats": 7}'])
def test_a_table_with_a_mistake_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="(?i)limit"):
        load(Settings, environ={"TRUNKLINE_LIMITS": text})


@pytest.mark.parametrize("networks", ["somewhere", "10.0.0.0/40"])
def test_a_proxy_is_a_network(networks: str) -> None:
    with pytest.raises(Invalid, match="TRUSTED_PROXIES"):
        load(Settings, environ={"TRUNKLINE_TRUSTED_PROXIES": networks})


def test_keys_of_different_callers_never_meet() -> None:
    keys = {key_of("a", "b"), key_of("ab"), key_of("a", "b", ""), key_of('a", "b'), key_of("b", "a")}
    assert len(keys) == 5
    assert all(len(key) == 64 for key in keys)


def test_one_process_alone_counts_exactly() -> None:
    windows = Windows()
    assert [windows.admit("a", 2, 10, now) for now in (0.0, 1.0, 2.0, 9.9, 10.0, 10.5, 11.0)] == [
        True,
        True,
        False,
        False,
        True,
        False,
        True,
    ]
    assert windows.seen("a", 10, 11.0) == (2, 9.0)
    assert windows.seen("b", 10, 11.0) == (0, 0.0)


def test_what_nats_server_let_in_counts_when_it_is_away() -> None:
    windows = Windows()
    windows.note("a", 10, 0.0)
    assert [windows.admit("a", 2, 10, 1.0) for _ in range(2)] == [True, False]


def test_no_more_callers_are_kept_than_said() -> None:
    windows = Windows(most=2)
    assert [windows.admit(name, 1, 10, 0.0) for name in ("a", "b", "c", "c", "b", "a")] == [True, True, True, False, False, True]


def test_who_was_sent_away_need_not_be_looked_at_before() -> None:
    closed = Closed(most=2)
    closed.note("a", 5.0)
    assert [closed.wait("a", now) for now in (0.0, 4.0, 5.0)] == [5.0, 1.0, 0.0]
    for name in "abc":
        closed.note(name, 5.0)
    assert [closed.wait(name, 0.0) > 0 for name in "abc"] == [False, True, True]
