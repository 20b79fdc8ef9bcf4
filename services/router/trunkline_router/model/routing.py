"""Who carries a task out: as its caller asked, else by the surface that it came in by, else by its type."""

from __future__ import annotations

import re
from typing import Final

from trunkline.contracts.dispatch import MOST_PAYLOAD, Workflow, payload_size
from trunkline.contracts.errors import Invalid
from trunkline.contracts.task import HOME_EXECUTORS, Assignment, Executor
from trunkline.contracts.work_types import canonical
from trunkline_router.model.rules import Route, Rules

POOLS: Final = {Executor.SANDBOX: "dev", Executor.GITHUB_WORKFLOW: "github"}
"""What can be asked for by its name, and whose hands take what no route sends there."""
ASKED: Final = "executor"
"""Where, in its metadata, a task says who is to carry it out."""
_FRAME: Final = 2048
"""Bytes of a workflow's payload beside the prompt."""
_OUTSIDE: Final = (Executor.BUS, *HOME_EXECUTORS)
_REPO: Final = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}/(?!\.{1,2}\Z)[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}\Z")


def routed(assignment: Assignment, rules: Rules) -> Assignment:
    """The assignment with its pool and its executor; what nothing here is about stays as it was given. Raises Invalid.

    So does what names the sandbox that it is carried out in: whoever has that carries it out, whatever its type.
    """
    if assignment.sandbox or assignment.executor in HOME_EXECUTORS:
        return assignment
    route = _wanted(assignment, rules)
    if route is None:
        return assignment
    _check_repository(assignment, route.executor)
    _check_promises(assignment, route.executor)
    update: dict[str, object] = {"pool": route.pool, "executor": route.executor}
    if route.executor is Executor.GITHUB_WORKFLOW:
        update["workflow"] = assignment.workflow or Workflow()
    return assignment.model_copy(update=update)


def deadline_s(assignment: Assignment, rules: Rules) -> float:
    """Seconds from the moment the task may begin. Agents elsewhere take their time: what surfaces give by default is meant for ours."""
    return max(assignment.deadline_s, rules.agent_deadline_s) if assignment.executor in _OUTSIDE else assignment.deadline_s


def _wanted(assignment: Assignment, rules: Rules) -> Route | None:
    of_type = _of_type(assignment, rules) if assignment.type else None
    chosen = _asked(assignment) or _of_surface(assignment, rules)
    if chosen is None or chosen is (of_type or assignment).executor:
        return of_type
    return Route(POOLS[chosen], chosen)


def _of_type(assignment: Assignment, rules: Rules) -> Route:
    route = rules.routes.get(canonical(assignment.type))
    if route is None:
        known = ", ".join(sorted(rules.routes))
        raise Invalid(f"there is no type of task called {assignment.type[:80]!r}; known types are {known}", code="UNKNOWN_TYPE")
    return route


def _asked(assignment: Assignment) -> Executor | None:
    """Only a task of a type is asked for in so many words; of others the metadata is the caller's own business."""
    said = assignment.metadata.get(ASKED) if assignment.type else None
    return next((executor for executor in POOLS if executor.value == said), None)


def _of_surface(assignment: Assignment, rules: Rules) -> Executor | None:
    """What has no repository, or goes on from a branch that is there, is nothing for a workflow: that stays where it would go."""
    if assignment.origin or assignment.pull_request or not _REPO.match(assignment.repo):
        return None
    return rules.surfaces.get(assignment.surface)


def _check_repository(assignment: Assignment, executor: Executor) -> None:
    if executor is not Executor.BUS and not _REPO.match(assignment.repo):
        raise Invalid(
            f"a task of the type {assignment.type[:80]!r} changes a repository; name it as owner/name in `metadata.repo`",
            code="REPO_NEEDED",
        )
    if executor is Executor.GITHUB_WORKFLOW and payload_size({"prompt": assignment.prompt}) > MOST_PAYLOAD - _FRAME:
        raise Invalid("what is to be done is longer than what GitHub hands to a workflow; say it shorter", code="DISPATCH_TOO_LARGE")


def _check_promises(assignment: Assignment, executor: Executor) -> None:
    if executor not in _OUTSIDE:
        return
    whose = f"a task of the type {assignment.type[:80]!r}" if assignment.type else f"what comes in by {assignment.surface[:80]!r}"
    if assignment.tool_rules or assignment.budget_usd is not None:
        why = f"{whose} goes to agents elsewhere, which no rule and no budget of ours holds"
        raise Invalid(f"{why}; leave `tool_rules` and `budget_usd` out", code="RULES_NOT_HELD")
    if assignment.credential:
        why = f"{whose} goes to agents elsewhere, who get no token of yours from us"
        raise Invalid(f"{why}; leave it out, and give it to them yourself", code="FORGE_TOKEN_UNUSED")
