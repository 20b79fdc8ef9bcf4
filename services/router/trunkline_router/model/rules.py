"""Where a kind of work goes, and what may not begin before somebody allowed it: rules as values, and what they say of a task."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from pydantic import JsonValue

from trunkline.contracts.errors import Invalid
from trunkline.contracts.task import Assignment, Executor
from trunkline.contracts.work_types import canonical

_REPO: Final = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}/(?!\.{1,2}\Z)[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}\Z")


@dataclass(frozen=True, slots=True)
class Route:
    """Whose agents do a kind of work, and how they are reached."""

    pool: str
    executor: Executor


@dataclass(frozen=True, slots=True)
class Gate:
    """Holds every task that meets all of its conditions; an empty condition is met by all."""

    reason: str
    """The rule as a sentence."""
    types: frozenset[str] = frozenset()
    priorities: frozenset[str] = frozenset()
    payload: Mapping[str, JsonValue] = field(default_factory=dict)
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """What this installation decided about routing and holding."""

    routes: Mapping[str, Route]
    gates: tuple[Gate, ...]
    agent_deadline_s: float


def routed(assignment: Assignment, rules: Rules) -> Assignment:
    """The assignment with the pool and the executor of its type; without a type it stays as it was given. Raises Invalid.

    So it does where it names the sandbox that it is carried out in: whoever has that carries it out, whatever its type.
    """
    if not assignment.type or assignment.sandbox:
        return assignment
    route = rules.routes.get(canonical(assignment.type))
    if route is None:
        known = ", ".join(sorted(rules.routes))
        raise Invalid(f"there is no type of task called {assignment.type[:80]!r}; known types are {known}", code="UNKNOWN_TYPE")
    if route.executor is Executor.SANDBOX and not _REPO.match(assignment.repo):
        raise Invalid(
            f"a task of the type {assignment.type[:80]!r} changes a repository; name it as owner/name in `metadata.repo`",
            code="REPO_NEEDED",
        )
    if route.executor is Executor.BUS and (assignment.tool_rules or assignment.budget_usd is not None):
        why = f"a task of the type {assignment.type[:80]!r} goes to agents elsewhere, which no rule and no budget of ours holds"
        raise Invalid(f"{why}; leave `tool_rules` and `budget_usd` out", code="RULES_NOT_HELD")
    if route.executor is Executor.BUS and assignment.credential:
        why = f"a task of the type {assignment.type[:80]!r} goes to agents elsewhere, who get no token of yours from us"
        raise Invalid(f"{why}; leave it out, and give it to them yourself", code="FORGE_TOKEN_UNUSED")
    return assignment.model_copy(update={"pool": route.pool, "executor": route.executor})


def deadline_s(assignment: Assignment, rules: Rules) -> float:
    """Seconds from the moment the task may begin. Agents elsewhere take their time: what surfaces give by default is meant for ours."""
    return max(assignment.deadline_s, rules.agent_deadline_s) if assignment.executor is Executor.BUS else assignment.deadline_s


def reasons(assignment: Assignment, gates: tuple[Gate, ...]) -> tuple[str, ...]:
    """The rules that hold a task, as sentences; none for a task without a type."""
    return tuple(gate.reason for gate in gates if _meets(assignment, gate)) if assignment.type else ()


def digest(assignment: Assignment) -> str:
    """SHA-256 (hex) of exactly this assignment; fields that a later version adds do not change it."""
    body = json.loads(assignment.model_dump_json(exclude_defaults=True))
    return sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _meets(assignment: Assignment, gate: Gate) -> bool:
    return (
        (not gate.types or canonical(assignment.type) in gate.types)
        and (not gate.priorities or assignment.priority in gate.priorities)
        and _holds(assignment.payload, gate.payload)
        and _holds(assignment.metadata, gate.metadata)
    )


def _holds(found: Mapping[str, JsonValue], wanted: Mapping[str, JsonValue]) -> bool:
    return all(name in found and _same(found[name], value) for name, value in wanted.items())


def _same(found: JsonValue, wanted: JsonValue) -> bool:
    """Text whatever its case, so that `Production` is held like `production`; 1 is not true."""
    if isinstance(found, str) and isinstance(wanted, str):
        return found.strip().casefold() == wanted.strip().casefold()
    return type(found) is type(wanted) and found == wanted
