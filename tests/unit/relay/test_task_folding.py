"""What folding leaves unread says nothing that a view holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic_core import from_json

from trunkline.contracts import folding
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import FACTS, Event, read_fact
from trunkline.contracts.task import Assignment, TaskFailed, TaskSubmitted
from trunkline.contracts.views import TaskView

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
GOLDENS = Path(__file__).parents[2] / "contracts" / "goldens"


def event(seq: int, fact: Fact) -> Event:
    return Event(Cursor("e1", seq), TenantId("acme"), TaskId("t1"), "task", NOON, fact)


def view() -> TaskView:
    asked = TaskSubmitted(assignment=Assignment(repo="acme/web", prompt="Fix it."), submitted_by="ann", deadline_at=NOON)
    made = folding.fold(None, event(1, asked))
    assert made is not None
    return made


def test_each_kind_of_fact_that_is_told_to_change_a_view_is_read_and_told_to_the_right_one() -> None:
    """A new case of a fold that nobody entered in the table would never be asked."""
    begun, ways = view(), set(folding.SAYS.values())
    for kind in FACTS:
        golden = GOLDENS / f"{kind.__name__}.json"
        fact = read_fact(from_json(golden.read_bytes()))
        told_by = [way for way in ways if way(begun, fact, NOON)]
        assert told_by in ([], [folding.SAYS.get(kind)]), kind.__name__


def test_folding_leaves_the_view_that_it_was_given_as_it_was() -> None:
    begun = view()
    before = begun.model_dump_json()
    ended = folding.fold(begun, event(2, TaskFailed(code="X", error="It broke.")))
    assert ended is not None and ended.status.terminal and begun.model_dump_json() == before
    assert folding.fold(ended, event(3, TaskFailed(code="Y", error="Again."))) is ended
