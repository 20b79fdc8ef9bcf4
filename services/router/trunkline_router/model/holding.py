"""The hold on a task that may not begin before somebody allows it: what it says to those who decide."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from trunkline.contracts.task import Assignment, Hold, TaskHeld
from trunkline.contracts.work_types import canonical
from trunkline_router.model.rules import Gate, digest, reasons

GIST: Final = 200
"""Characters that are shown of what the caller wrote."""
_TELLING: Final = ("title", "summary", "description", "issue")
"""Members of a payload that may say what is to be done, the shortest first."""


def held(assignment: Assignment, gates: tuple[Gate, ...], by: str) -> TaskHeld | None:
    """The fact that holds a task, or none when nothing does."""
    why = reasons(assignment, gates)
    if not why:
        return None
    hold = Hold(digest=digest(assignment), reasons=why)
    return TaskHeld(hold=hold, subject=_subject(assignment), requested_by=by, about=_about(assignment, why))


def _subject(assignment: Assignment) -> str:
    kind = f"{canonical(assignment.type)} ({assignment.priority}) for {assignment.pool}"
    gist = _gist(assignment)
    return f"{kind}: {gist}" if gist else kind


def _gist(assignment: Assignment) -> str:
    told = [assignment.prompt, *(assignment.payload.get(name) for name in _TELLING)]
    plain = (" ".join(text.split()) for text in told if isinstance(text, str))
    text = next(filter(None, plain), "")
    return text if len(text) <= GIST else f"{text[: GIST - 1]}…"


def _about(assignment: Assignment, why: tuple[str, ...]) -> dict[str, JsonValue]:
    about: dict[str, JsonValue] = {
        "type": canonical(assignment.type),
        "priority": assignment.priority.value,
        "surface": assignment.surface,
        "pool": assignment.pool,
        "reasons": list(why),
    }
    environment = assignment.payload.get("environment")
    return {**about, "environment": environment[:GIST]} if isinstance(environment, str) else about
