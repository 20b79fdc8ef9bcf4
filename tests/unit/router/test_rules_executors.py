"""Who carries a task out: its caller says so, else its surface, else its type; and what agents elsewhere are not held by."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.router.tasks import NOW, RULES, asked, submit
from trunkline.contracts.calls import Ruling, ToolRule
from trunkline.contracts.dispatch import Workflow
from trunkline.contracts.errors import DomainError, Invalid
from trunkline.contracts.ids import message_alias
from trunkline.contracts.task import Assignment, Executor, Onward, Origin, TaskAssigned, TaskSubmitted
from trunkline_router.model import Rules, decide
from trunkline_router.settings import RouteSetting, Settings
from trunkline_router.wiring import rules_of

WORKFLOW, SANDBOX, BUS = Executor.GITHUB_WORKFLOW, Executor.SANDBOX, Executor.BUS
ROUTE = {"bugfix": {"pool": "shop_agent", "executor": "github_workflow"}, "feature": {"pool": "dev", "executor": "sandbox"}}
BY_ROUTE = rules_of(Settings.model_validate({"routes": ROUTE}))
BY_SURFACE = rules_of(Settings.model_validate({"surfaces": {"github": "github_workflow", "orchestrator": "sandbox"}}))
ORIGIN = Origin(task="t0", onward=Onward.CONTINUE, attempt=1, snapshot="s", commit="c", base="b")


def submitted(assignment: Assignment, rules: Rules) -> TaskSubmitted:
    first, second = decide(None, submit(assignment), NOW, rules)
    assert isinstance(first, TaskSubmitted) and second == TaskAssigned(pool=first.assignment.pool, attempt=1)
    return first


def goes(assignment: Assignment, rules: Rules) -> tuple[str, Executor]:
    stored = submitted(assignment, rules).assignment
    return stored.pool, stored.executor


def refused(assignment: Assignment, rules: Rules) -> DomainError:
    with pytest.raises(DomainError) as refusal:
        decide(None, submit(assignment), NOW, rules)
    return refusal.value


def wished(executor: str, **fields: Any) -> Assignment:
    """A task of the bus's, of which its caller says who is to carry it out."""
    return asked("incident", repo="acme/calc", metadata={"executor": executor}, **fields)


def came(surface: str = "github", **fields: Any) -> Assignment:
    """A task without a type, as that surface has it."""
    return Assignment.model_validate({"repo": "acme/calc", "prompt": "Fix it.", "surface": surface, **fields})


def test_a_type_can_be_sent_to_workflows_of_any_pool_and_then_needs_a_repository() -> None:
    stored = submitted(asked("bugfix", repo="acme/calc"), BY_ROUTE).assignment
    assert (stored.pool, stored.executor, stored.workflow) == ("shop_agent", WORKFLOW, Workflow())
    for repo in ("", "acme", "a b/c", "acme/calc/more"):
        assert refused(asked("bugfix", repo=repo), BY_ROUTE).code == "REPO_NEEDED"


def test_a_caller_may_choose_workflows_or_our_sandboxes_and_nothing_else() -> None:
    assert goes(wished("github_workflow"), RULES) == ("github", WORKFLOW)
    assert goes(wished("sandbox"), RULES) == ("dev", SANDBOX)
    for word in ("bus", "callback", "", "GITHUB_WORKFLOW"):
        assert goes(wished(word), RULES) == ("ops_agent", BUS)
    assert goes(asked("feature", repo="acme/calc", metadata={"executor": ["sandbox"]}), RULES) == ("dev_agent", BUS)


def test_whoever_chooses_what_the_route_says_keeps_the_pool_of_the_route() -> None:
    asks = {"executor": "github_workflow"}
    assert goes(asked("bugfix", repo="acme/calc", metadata=asks), BY_ROUTE) == ("shop_agent", WORKFLOW)


def test_what_comes_in_by_a_surface_goes_where_the_surface_says() -> None:
    assert goes(came(), BY_SURFACE) == ("github", WORKFLOW)
    assert goes(asked("incident", repo="acme/calc"), BY_SURFACE) == ("dev", SANDBOX)
    assert goes(came("pr_agent", pool="special"), BY_SURFACE) == ("special", SANDBOX)


def test_the_caller_s_word_counts_before_that_of_the_surface() -> None:
    assert goes(wished("github_workflow"), BY_SURFACE) == ("github", WORKFLOW)


def test_a_type_that_is_unknown_is_refused_whoever_is_to_carry_it_out() -> None:
    assert refused(asked("cooking", repo="acme/calc", metadata={"executor": "sandbox"}), BY_SURFACE).code == "UNKNOWN_TYPE"


@pytest.mark.parametrize("fields", [{"repo": ""}, {"pull_request": 7}, {"origin": ORIGIN}, {"sandbox": "sbx-1", "repo": ""}])
def test_what_a_workflow_could_not_begin_with_stays_where_it_was(fields: dict[str, Any]) -> None:
    given = came(**fields)
    assert submitted(given, BY_SURFACE).assignment == given


@pytest.mark.parametrize("executor", [WORKFLOW, Executor.CALLBACK])
def test_what_the_surface_of_instances_asks_for_is_stored_as_it_is(executor: Executor) -> None:
    rules = rules_of(Settings.model_validate({"surfaces": {"omnara": "sandbox"}}))
    given = came("omnara", executor=executor, pool="omnara")
    assert submitted(given, rules).assignment == given


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"budget_usd": 1.0}, "RULES_NOT_HELD"),
        ({"tool_rules": (ToolRule(then=Ruling.DENY),)}, "RULES_NOT_HELD"),
        ({"credential": "c1"}, "FORGE_TOKEN_UNUSED"),
    ],
)
@pytest.mark.parametrize("given", [asked("bugfix", repo="acme/calc"), came()])
def test_what_no_workflow_is_held_by_is_not_promised(given: Assignment, terms: dict[str, Any], code: str) -> None:
    rules = BY_ROUTE if given.type else BY_SURFACE
    assert refused(given.model_copy(update=terms), rules).code == code


def test_a_prompt_that_no_workflow_is_handed_is_refused_at_once() -> None:
    assert goes(came(prompt="x" * 60_000), BY_SURFACE) == ("github", WORKFLOW)
    refusal = refused(came(prompt='"' * 40_000), BY_SURFACE)
    assert (type(refusal), refusal.code) == (Invalid, "DISPATCH_TOO_LARGE")


def test_agents_that_call_home_have_a_week_as_all_elsewhere() -> None:
    made = submitted(came(deadline_s=60), BY_SURFACE)
    assert (made.deadline_at - NOW).total_seconds() == RULES.agent_deadline_s


def test_messages_of_an_instance_lead_to_its_task_whoever_made_it() -> None:
    assert submitted(came(), BY_SURFACE).aliases == (message_alias("t1"),)
    assert submitted(came("pr_agent"), BY_SURFACE).aliases == ()


@pytest.mark.parametrize(
    "wrong", [{"surfaces": {"github": "bus"}}, {"surfaces": {"github": "callback"}}, {"surfaces": {"github": "workflow"}}]
)
def test_a_surface_sends_to_workflows_or_sandboxes_only(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="surfaces"):
        Settings.model_validate(wrong)


def test_nothing_is_sent_to_agents_that_register_themselves() -> None:
    with pytest.raises(ValueError, match="by themselves"):
        RouteSetting.model_validate({"pool": "any", "executor": "callback"})
