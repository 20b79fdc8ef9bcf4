"""What the doctor makes of a running stack: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from trunkline.contracts.integrity import Integrity, IntegrityView
from trunkline.contracts.task import Assignment, TaskStatus
from trunkline.contracts.views import TaskView
from trunkline_cli.checks import State
from trunkline_cli.stack_checks import audit, clock, orphans, services, store, streams, stuck, work
from trunkline_cli.stack_facts import Found

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ONE, TWO = "1" * 32, "2" * 32


def task(id: str, status: TaskStatus = TaskStatus.IN_PROGRESS, quiet: float = 0.0, **more: Any) -> TaskView:
    """One that said something `quiet` minutes before noon, and was asked for an hour before that, for a day."""
    at = NOON - timedelta(minutes=quiet)
    asked = Assignment(repo="acme/shop", prompt="Fix it.", deadline_s=more.pop("deadline_s", 86_400.0))
    began = {"submitted_at": at - timedelta(hours=1), "updated_at": at, "seq": 1}
    return TaskView(tenant="acme", task_id=id, assignment=asked, submitted_by="ann", status=status, **began, **more)


def item(task: str, pool: str = "dev") -> dict[str, str]:
    return {"task": task, "pool": pool, "@subject": f"work.{pool}.P2.acme"}


def test_a_clock_that_is_off_is_told_with_its_way() -> None:
    assert [clock(Found(ahead_s=ahead)).state for ahead in (0.0, -1.9, 1.9)] == [State.OK] * 3
    assert "30.0 s ahead" in clock(Found(ahead_s=30.0)).found
    behind = clock(Found(ahead_s=-30.0))
    assert (behind.state, "behind" in behind.found, bool(behind.remedy)) == (State.WARN, True, True)


def test_a_store_that_is_nearly_full_is_told_before_it_is() -> None:
    assert store(Found(used=79, limit=100)).state is State.OK
    assert store(Found(used=1 << 30, limit=0)).state is State.OK
    assert (store(Found(used=80, limit=100)).state, "nats_store_limit" in store(Found(used=80, limit=100)).remedy) == (State.WARN, True)


def test_what_is_not_as_declared_does_not_do_and_who_does_not_answer_is_named() -> None:
    assert not streams(Found(amiss=["the stream WORK is missing"])).state.enough
    assert "router, relay" in services(Found(silent=["router", "relay"])).found
    assert [check.state for check in (streams(Found()), services(Found()))] == [State.OK] * 2


def test_work_that_nobody_takes_is_told_by_its_pool() -> None:
    found = Found(work=[item(ONE), item(TWO, "ops"), item(TWO, "ops")], takers={"dev"})
    assert (work(found).state, work(found).found) == (State.WARN, "waits and nobody takes it: 2 in ops")
    found.takers.add("ops")
    assert work(found).state is State.OK


def test_a_task_is_stuck_past_its_deadline_or_when_nothing_is_heard_and_nobody_carries_it() -> None:
    silent, late = task(ONE, quiet=16), task(TWO, deadline_s=60.0)
    told = stuck(Found(tasks=[silent, late], known=True), NOON)
    assert told.state is State.WARN
    assert "past its deadline: acme/22222222" in told.found
    assert "no sign of life since 2026-05-01 11:44 UTC: acme/11111111" in told.found
    assert "trunkline cancel" in told.remedy


def test_a_task_that_is_carried_or_waits_for_somebody_is_not_stuck() -> None:
    patient = [
        task(ONE, quiet=14),
        task(ONE, TaskStatus.SUBMITTED, quiet=60),
        task(ONE, quiet=60, waiting_for="approval"),
        task(ONE, quiet=60, paused=True),
        task(ONE, quiet=60, approval_status="pending", deadline_s=60.0),
    ]
    assert stuck(Found(tasks=patient, known=True), NOON).state is State.OK
    assert stuck(Found(tasks=[task(ONE, quiet=60)], known=True, work=[item(ONE)]), NOON).state is State.OK


def test_what_is_left_of_ended_tasks_is_told_and_timers_do_no_harm() -> None:
    found = Found(tasks=[task(ONE)], known=True, work=[item(ONE)], timers=[{"task": TWO}])
    well = orphans(found, [f"{ONE}-1", "named-by-ann"])
    assert (well.state, "1 timers of ended tasks" in well.found) == (State.OK, True)
    found.work.append(item(TWO))
    left = orphans(found, [f"{TWO}-1"])
    assert (left.state, f"sandbox {TWO}-1" in left.found, "work of the ended task 22222222" in left.found) == (State.WARN, True, True)


def test_where_no_relay_tells_what_goes_on_nothing_is_called_an_orphan() -> None:
    found = Found(known=False, work=[item(ONE)])
    assert ("not looked at" in stuck(found, NOON).found, "not looked at" in orphans(found, [f"{ONE}-1"]).found) == (True, True)


def test_how_the_log_stands_is_told_as_its_witness_tells_it() -> None:
    def told(state: Integrity, *findings: str) -> tuple[State, str, str]:
        view = IntegrityView(state=state, sealed=1_000, findings=findings, said="run `trunkline verify`" if findings else "")
        check = audit(Found(integrity=view))
        return check.state, check.found, check.remedy

    assert told(Integrity.WHOLE) == (State.OK, "the log is as it was written, signed for up to record 1,000", "")
    assert told(Integrity.WHOLE, "the book was begun just now")[:2] == (State.WARN, "the book was begun just now")
    assert told(Integrity.CHECKING)[0] is State.OK
    assert told(Integrity.BROKEN, "record 7 was deleted") == (State.REFUSED, "record 7 was deleted", "Run `trunkline verify`.")
    assert [told(state)[0] for state in (Integrity.OFF, Integrity.UNSIGNED)] == [State.WARN, State.WARN]
    assert (audit(Found()).state, "not looked at" in audit(Found()).found) == (State.WARN, True)
