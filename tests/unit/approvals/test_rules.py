"""Which policy an approval is asked under, and which settings are refused at the start."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.each import each
from tests.unit.approvals.stories import request
from trunkline.contracts.approval import ApprovalPolicy, OnExpiry, Verdict
from trunkline.contracts.errors import Invalid
from trunkline.runtime.settings import load
from trunkline_approvals.model import Match, Rule, choose
from trunkline_approvals.settings import Settings
from trunkline_approvals.wiring import as_rule

ABOUT = {"priority": "P0", "type": "deployment", "surface": "orchestrator", "environment": "production", "lines": 12, "where": {"a": 1}}
FILE = """
[[approval_policies]]
name = "reading"
decide = "approve"
match = { kinds = ["tool_call"], about = { tool = "read" } }

[[approval_policies]]
name = "production"
on_expiry = "escalate"
four_eyes = "strict"

[approval_policies.match]
priorities = ["P0", "P1"]
types = ["deployment"]

[approval_policies.first]
roles = []
names = ["ann", "bob", "cid"]
quorum = 2
expires_s = 3600
notify = ["on-call"]

[[approval_policies.escalation]]
roles = ["admin"]
expires_s = "never"
"""


def rules(text: str) -> list[Rule]:
    return [as_rule(policy) for policy in load(Settings, toml=tomllib.loads(text)).settings.approval_policies]


@each(
    ("match", "fits"),
    [
        (Match(), True),
        (Match(kinds=("task",)), True),
        (Match(kinds=("tool_call",)), False),
        (Match(priorities=("P0", "P1")), True),
        (Match(priorities=("P1",)), False),
        (Match(types=("deployment",), surfaces=("orchestrator", "omni")), True),
        (Match(types=("deployment",), surfaces=("omni",)), False),
        (Match(about={"environment": "production", "lines": 12}), True),
        (Match(about={"environment": "production", "lines": 13}), False),
        (Match(about={"where": {"a": 1}}), True),
        (Match(about={"nowhere": None}), False),
    ],
)
def test_a_rule_fits_what_it_names(match: Match, fits: bool) -> None:
    assert match.fits(request(kind="task", about=ABOUT)) is fits


def test_a_rule_that_names_a_word_does_not_fit_a_request_that_says_nothing_or_something_odd() -> None:
    assert not Match(types=("deployment",)).fits(request())
    assert not Match(types=("deployment",)).fits(request(about={"type": ["deployment"]}))


def test_the_first_rule_that_fits_counts_and_without_one_the_default() -> None:
    first, second = Rule(ApprovalPolicy(name="first"), Match(kinds=("task",))), Rule(ApprovalPolicy(name="second"))
    assert choose((first, second), request(kind="task")) is first
    assert choose((first, second), request(kind="custom")) is second
    assert choose((first,), request(kind="custom")).policy == ApprovalPolicy()


def test_rules_come_from_the_settings_file() -> None:
    reading, production = rules(FILE)
    assert (reading.policy.name, reading.verdict) == ("reading", Verdict.APPROVED)
    assert choose((reading, production), request(kind="tool_call", about={"tool": "read"})) is reading
    assert choose((reading, production), request(about=ABOUT)) is production
    policy = production.policy
    assert (policy.first.quorum, policy.first.roles, policy.first.names) == (2, (), ("ann", "bob", "cid"))
    assert (policy.on_expiry, policy.escalation[0].expires_s, policy.escalation[0].roles) == (OnExpiry.ESCALATE, None, ("admin",))
    assert ApprovalPolicy.model_validate_json(policy.model_dump_json()) == policy


def test_the_example_that_people_copy_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "say-who-must-approve-what.md").read_text()
    (example,) = [text for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "approval_policies" in text]
    found = rules(example)
    assert [rule.policy.name for rule in found] == ["production", "commands", "what leaves and what it costs", "reading is free"]
    about = {kind: {"tool": kind} for kind in ("Bash", "Read", "Write")}
    asked = {kind: choose(found, request(kind="tool_call", about=of)).policy.name for kind, of in about.items()}
    assert asked == {"Bash": "commands", "Read": "reading is free", "Write": "default"}
    for kind in ("push", "pull_requests", "budget"):
        assert choose(found, request(kind=kind)).policy.first.quorum == 2


def test_rules_come_from_the_environment_as_json() -> None:
    said = json.dumps([{"name": "all", "first": {"expires_s": None}}])
    (policy,) = load(Settings, environ={"TRUNKLINE_APPROVAL_POLICIES": said}).settings.approval_policies
    assert (policy.name, policy.first.expires_s) == ("all", None)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        pytest.param({"first": {"roles": ["boss"]}}, "the role 'boss' may not decide", id="a-role-nobody-has"),
        pytest.param({"first": {"roles": ["user"]}}, "the role 'user' may not decide", id="a-role-that-decides-nothing"),
        pytest.param({"first": {"roles": [], "names": ["ann"], "quorum": 2}}, "needs 2 people, names 1", id="too-few-names"),
        pytest.param({"first": {"roles": [], "names": ["ann", "ann"], "quorum": 2}}, "names 1", id="the-same-name-twice-is-one-person"),
        pytest.param({"first": {"roles": []}}, "can never be fulfilled", id="nobody-at-all"),
        pytest.param(
            {"on_expiry": "escalate", "first": {"roles": [], "names": ["a"]}, "escalation": [{"roles": [], "names": ["b"], "quorum": 3}]},
            "stage 1, can never be fulfilled: it needs 3 people, names 2",
            id="too-few-names-in-a-later-stage",
        ),
        pytest.param({"first": {"quorom": 2}}, "quorom: extra inputs", id="a-word-with-a-slip"),
        pytest.param({"on_expiry": "escalate"}, "stages in `escalation`", id="escalates-to-nobody"),
        pytest.param({"escalation": [{}]}, "stages in `escalation`", id="a-chain-that-is-never-asked"),
        pytest.param({"match": {"priorities": ["P9"]}}, "priorities", id="a-priority-there-is-not"),
        pytest.param({"decide": "maybe"}, "decide", id="a-verdict-there-is-not"),
        pytest.param({"first": {"expires_s": 0}}, "expires_s", id="no-time-at-all"),
        pytest.param({"first": {"expires_s": 1e300}}, "expires_s", id="more-time-than-there-is"),
        pytest.param({"name": ""}, "name", id="without-a-name"),
    ],
)
def test_a_policy_that_cannot_work_refuses_to_start(policy: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as refusal:
        load(Settings, toml={"approval_policies": [{"name": "mine", **policy}]})
    assert refusal.value.code == "BAD_SETTING"
    assert said in refusal.value.message


def test_two_policies_of_one_name_are_refused() -> None:
    with pytest.raises(Invalid, match="two policies are called 'mine'"):
        load(Settings, toml={"approval_policies": [{"name": "mine"}, {"name": "mine"}]})


def test_a_later_stage_may_need_the_names_of_an_earlier_one() -> None:
    first, second = {"roles": [], "names": ["a", "b"]}, {"roles": [], "names": ["c"], "quorum": 3}
    policy = {"name": "mine", "on_expiry": "escalate", "first": first, "escalation": [second]}
    assert len(load(Settings, toml={"approval_policies": [policy]}).settings.approval_policies) == 1


@pytest.mark.parametrize("word", ["deployment", "Deployment", "deploy"])
def test_a_rule_for_a_type_holds_for_every_word_that_means_it(word: str) -> None:
    rule = Rule(ApprovalPolicy(name="ours"), Match(types=(word,)))
    assert choose((rule,), request(about={"type": "deployment"})) is rule
