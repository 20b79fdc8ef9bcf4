"""Types go to pools by the table, older words by what they mean, and what no table knows is refused."""

from typing import Any

import pytest

from tests.each import each
from tests.unit.router.tasks import NOW, RULES, asked, stored, submit, submitted
from trunkline.contracts.calls import Ruling, ToolRule
from trunkline.contracts.errors import DomainError, Invalid
from trunkline.contracts.task import Assignment, Executor, Priority, TaskAssigned, TaskHeld, TaskSubmitted
from trunkline.contracts.work_types import canonical
from trunkline_router.model import Rules, decide
from trunkline_router.settings import RouteSetting, Settings
from trunkline_router.wiring import rules_of

DOCUMENT = {
    "bugfix": "dev_agent", "feature": "dev_agent", "refactor": "dev_agent",
    "deployment": "ops_agent", "monitoring": "ops_agent", "incident": "ops_agent",
    "faq_update": "faq_agent", "documentation": "faq_agent", "knowledge_sync": "faq_agent",
}  # fmt: skip
OLDER = {
    "faq": "faq_update", "deploy": "deployment", "investigate": "incident", "monitor": "monitoring", "alert": "incident",
    "kb_update": "knowledge_sync",
}  # fmt: skip
OURS = rules_of(Settings.model_validate({"routes": {"bugfix": {"pool": "dev", "executor": "sandbox"}, "Translate": {"pool": "words"}}}))


def refused(assignment: Assignment, rules: Rules = RULES) -> DomainError:
    with pytest.raises(DomainError) as refusal:
        decide(None, submit(assignment), NOW, rules)
    return refusal.value


@each(("kind", "pool"), DOCUMENT.items())
def test_every_type_of_the_document_goes_to_the_pool_of_the_document(kind: str, pool: str) -> None:
    assert (stored(asked(kind)).pool, stored(asked(kind)).executor) == (pool, Executor.BUS)
    assert TaskAssigned(pool=pool, attempt=1) in submitted(asked(kind))


@pytest.mark.parametrize(("older", "meant"), OLDER.items())
def test_an_older_word_is_stored_as_sent_and_routed_by_what_it_means(older: str, meant: str) -> None:
    assert (stored(asked(older)).type, stored(asked(older)).pool) == (older, DOCUMENT[meant])


def test_the_case_of_a_type_does_not_matter_and_is_kept() -> None:
    assert (stored(asked("BugFix")).type, stored(asked("BugFix")).pool) == ("BugFix", "dev_agent")
    assert canonical(" Deploy ") == "deployment"


@pytest.mark.parametrize("word", ["cooking", "bug fix", "bugfixes", "unknown"])
def test_an_unknown_type_is_refused_and_the_known_ones_are_named(word: str) -> None:
    refusal = refused(asked(word))
    assert (type(refusal), refusal.code) == (Invalid, "UNKNOWN_TYPE")
    assert all(kind in refusal.message for kind in DOCUMENT)


def test_a_task_without_a_type_stays_as_it_was_given() -> None:
    given = Assignment(repo="acme/calc", prompt="fix it", pool="special", priority=Priority.P0)
    assert [type(fact) for fact in submitted(given)] == [TaskSubmitted, TaskAssigned]
    assert stored(given) == given


@pytest.mark.parametrize("terms", [{"budget_usd": 1.0}, {"tool_rules": (ToolRule(then=Ruling.DENY),)}])
def test_what_no_agent_elsewhere_is_held_by_is_not_promised(terms: dict[str, Any]) -> None:
    assert refused(asked("bugfix").model_copy(update=terms)).code == "RULES_NOT_HELD"
    [first, _] = decide(None, submit(asked("bugfix", repo="acme/calc", **terms)), NOW, OURS)
    assert isinstance(first, TaskSubmitted)
    assert first.assignment.model_dump(include=set(terms)) == Assignment.model_validate(terms).model_dump(include=set(terms))


def test_a_type_can_be_sent_to_the_sandbox_and_then_needs_a_repository() -> None:
    [first, second] = decide(None, submit(asked("bugfix", repo="acme/calc")), NOW, OURS)
    assert isinstance(first, TaskSubmitted)
    assert (first.assignment.executor, second) == (Executor.SANDBOX, TaskAssigned(pool="dev", attempt=1))
    for repo in ("", "acme", "acme/", "acme/..", "a b/c", "acme/calc/more"):
        assert refused(asked("bugfix", repo=repo), OURS).code == "REPO_NEEDED"


def test_what_is_configured_is_added_to_the_table_of_the_document() -> None:
    routed = decide(None, submit(asked("translate")), NOW, OURS)[1]
    assert routed == TaskAssigned(pool="words", attempt=1)
    assert OURS.routes["incident"] == RULES.routes["incident"]


def test_a_route_that_nobody_would_carry_is_no_setting() -> None:
    with pytest.raises(ValueError, match="'dev' only"):
        RouteSetting.model_validate({"pool": "dev_agent", "executor": "sandbox"})


def test_a_task_in_a_named_sandbox_needs_no_repository_and_no_pool_for_its_type_but_is_held_by_it() -> None:
    given = Assignment(prompt="what is in it?", type="knowledge", sandbox="sbx-1")
    assert stored(given) == given
    rules = rules_of(Settings.model_validate({"gates": [{"reason": "Somebody looks at it first.", "types": ["knowledge"]}]}))
    assert any(isinstance(fact, TaskHeld) for fact in decide(None, submit(given), NOW, rules))
