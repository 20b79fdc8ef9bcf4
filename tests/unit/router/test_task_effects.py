"""What is passed over unread is what nothing follows from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trunkline.bus import Stored
from trunkline.contracts import task, task_waiting
from trunkline.contracts.message import Fact
from trunkline.contracts.record import FACTS, Record
from trunkline.runtime.clock import now
from trunkline_router.handlers.task_effects import ACTED_ON, Beyond, TaskEffects

GOLDENS = Path(__file__).parents[2] / "contracts" / "goldens"
PASSED_OVER = [fact for fact in FACTS if fact.__module__ in (task.__name__, task_waiting.__name__) and fact not in ACTED_ON]


@pytest.mark.parametrize("kind", PASSED_OVER, ids=lambda kind: kind.__name__)
async def test_nothing_follows_from_what_is_passed_over(kind: type[Fact]) -> None:
    nobody: Any = object()
    """Has nothing that could be called."""
    effects = TaskEffects(nobody, nobody, nobody, nobody, Beyond(nobody, nobody, nobody, nobody))
    fact = kind.model_validate_json((GOLDENS / f"{kind.__name__}.json").read_bytes())
    await effects.on(Stored(1, "evt.acme.t1.task", Record(at=now(), cause="test", facts=(fact,)).body))


def test_what_work_and_alarms_follow_from_is_not_passed_over() -> None:
    assert {fact.__name__ for fact in PASSED_OVER} == {
        "TaskStarted", "TaskHeld", "TaskHoldDropped", "TaskChildAdded", "TaskWaits", "EventPublished", "TaskAwaitsPlace"
    }  # fmt: skip
