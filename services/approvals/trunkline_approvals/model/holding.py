"""Whether a task waits to be allowed, as its own facts tell."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.contracts.message import Fact
from trunkline.contracts.task import TaskCancelled, TaskFailed, TaskHeld, TaskHoldDropped, TaskReleased, TaskSucceeded


def still_held(facts: Iterable[Fact]) -> TaskHeld | None:
    """How the task is held; None when nothing holds it any more, or when it is over."""
    held: TaskHeld | None = None
    for fact in facts:
        match fact:
            case TaskHeld():
                held = fact
            case TaskReleased() | TaskHoldDropped() | TaskSucceeded() | TaskFailed() | TaskCancelled():
                held = None
            case _:
                pass
    return held
