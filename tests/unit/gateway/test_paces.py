"""Where the time of a task went, as its page draws it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Event
from trunkline.contracts.run import Phase, PhaseBegan, RunGoesOn, RunWaits, Wait
from trunkline.contracts.task import Assignment, TaskCancelled, TaskSubmitted
from trunkline_gateway.pages.timeline import Pace, paces

BEGAN = datetime(2025, 1, 12, tzinfo=UTC)


def happened(*facts: tuple[float, Fact]) -> list[Event]:
    tenant, task = TenantId("public"), TaskId("t1")
    return [
        Event(Cursor("k3v9", number), tenant, task, "run", BEGAN + timedelta(seconds=after), fact)
        for number, (after, fact) in enumerate(facts, 1)
    ]


SUBMITTED = TaskSubmitted(assignment=Assignment(), submitted_by="ann", deadline_at=BEGAN)


def test_each_phase_lasts_until_the_next_and_what_is_waited_for_cuts_it_in_two() -> None:
    events = happened(
        (0, SUBMITTED),
        (2, PhaseBegan(phase=Phase.AGENT, message="")),
        (5, RunWaits(attempt=1, why=Wait.TOOL_CALL)),
        (65, RunGoesOn(attempt=1)),
        (70, TaskCancelled(by="ann", reason="")),
    )

    assert paces(events, BEGAN + timedelta(hours=1)) == [
        Pace("queue", 0, 2), Pace("agent", 2, 5), Pace("waiting", 5, 65), Pace("agent", 65, 70),
    ]  # fmt: skip


def test_a_task_that_goes_on_is_drawn_up_to_now() -> None:
    assert paces(happened((0, SUBMITTED)), BEGAN + timedelta(seconds=3)) == [Pace("queue", 0, 3)]


def test_nothing_is_drawn_of_what_is_not_known() -> None:
    assert paces([], BEGAN) == []
