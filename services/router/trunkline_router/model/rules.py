"""Where work goes, and what may not begin before somebody allowed it: rules as values, and which of them hold a task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

from pydantic import JsonValue

from trunkline.contracts.task import Assignment, Executor
from trunkline.contracts.work_types import canonical


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
    surfaces: Mapping[str, Executor] = field(default_factory=dict)
    """Who carries out what comes in by a surface, whatever its type."""
    kept: timedelta = timedelta(days=90)
    """For how long facts stay on the log."""


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
