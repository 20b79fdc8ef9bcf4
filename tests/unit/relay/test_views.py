"""How timelines become views, whatever the batches, and how views lie in SQLite."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.relay.timelines import NOON, RESULT, Line, life, line, submitted
from tests.unit.relay.views import folded, ids, listed
from trunkline.contracts.errors import Conflict
from trunkline.contracts.message import UnknownFact
from trunkline.contracts.run import AgentOutput, Phase, RunClaimed, Said
from trunkline.contracts.task import (
    StopCause,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskRetryScheduled,
    TaskStarted,
    TaskStatus,
    TaskStopRequested,
)
from trunkline.contracts.views import TaskView
from trunkline_relay.adapters import sqlite_views
from trunkline_relay.adapters.sqlite_views import open_views
from trunkline_relay.model.changes import Changes

SUBMITTED = submitted()


def test_a_whole_life_becomes_one_view() -> None:
    view = folded(life(1, "t1")).task("acme", "t1")

    assert view == TaskView(
        tenant="acme", task_id="t1", assignment=SUBMITTED.assignment, submitted_by="ann", aliases=("omni:t1",),
        status=TaskStatus.SUCCEEDED, pool="dev", attempt=1, phase=Phase.PR, agent="command", sandbox_id="s1", branch="trunkline/t1",
        commit="c0ffee", files_changed=1, additions=2, deletions=3, pull_request=7, pull_request_url="http://forge/7",
        pull_request_state="open", result=RESULT, sandbox_at=NOON + timedelta(seconds=4), sandbox_seconds=1.5,
        submitted_at=NOON + timedelta(seconds=1), started_at=NOON + timedelta(seconds=2), updated_at=NOON + timedelta(seconds=8),
        ended_at=NOON + timedelta(seconds=8), seq=8,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("then", "status"),
    [
        ((), TaskStatus.SUBMITTED),
        ((TaskAssigned(pool="dev", attempt=1),), TaskStatus.ASSIGNED),
        ((TaskAssigned(pool="dev", attempt=1), TaskStarted(attempt=1)), TaskStatus.IN_PROGRESS),
        ((TaskRetryScheduled(attempt=2, due_at=NOON, code="AGENT_FAILED", reason="?"),), TaskStatus.SUBMITTED),
        ((TaskStopRequested(cause=StopCause.CANCELLED, by="ann", reason=""),), TaskStatus.STOPPING),
        ((TaskCancelled(by="ann", reason="never mind"),), TaskStatus.CANCELLED),
        ((TaskFailed(code="AGENT_FAILED", error="It broke."),), TaskStatus.FAILED),
        ((UnknownFact(type="task.paused"),), TaskStatus.SUBMITTED),
    ],
)
def test_a_task_shows_the_status_its_facts_say(then: tuple[TaskStarted, ...], status: TaskStatus) -> None:
    views = folded([line(1, "t1", "task", SUBMITTED), *(line(2 + index, "t1", "task", fact) for index, fact in enumerate(then))])

    assert [view.status for view in listed(views).tasks] == [status]
    assert ids(listed(views, status=status)) == ["t1"]
    assert listed(views).total == 1


def test_facts_of_a_task_that_was_never_submitted_make_no_view() -> None:
    views = folded([line(5, "t1", "run", RunClaimed(attempt=1, owner="x"))])

    assert views.task("acme", "t1") is None
    assert views.checkpoint == 5


def test_output_moves_the_checkpoint_and_is_not_even_read() -> None:
    views = folded([line(1, "t1", "task", SUBMITTED), Line(2, "evt.acme.t1.output", "not json")])

    assert views.checkpoint == 2
    assert views.task("acme", "t1") == folded([line(1, "t1", "task", SUBMITTED)]).task("acme", "t1")


def test_a_message_that_nobody_can_read_hides_nothing_behind_it() -> None:
    said = AgentOutput(attempt=1, line=1, kind=Said.MESSAGE)
    broken = [Line(1, "evt.acme.t0.task", "{"), Line(2, "evt.strange", "{}"), Line(3, "evt.acme.t0.run", '{"facts": 7}')]

    views = folded([*broken, line(4, "t1", "task", SUBMITTED), line(5, "t1", "output", said)])

    assert ids(listed(views)) == ["t1"]
    assert views.checkpoint == 5


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 100])
def test_the_views_do_not_depend_on_the_batches(batch: int) -> None:
    lives = [life(1, "t1"), life(1, "t2"), life(1, "t3", tenant="umbrella"), life(1, "t4")]
    order = random.Random(4).sample([index for index in range(4) for _ in range(8)], 32)
    log = [
        line(seq, lives[one][0].subject.split(".")[2], (taken := lives[one].pop(0)).subject.split(".")[3], *taken.record.facts)
        for seq, one in enumerate(order, 1)
    ]

    assert listed(folded(log, batch)) == listed(folded(log, 32))
    assert listed(folded(log, batch)).total == 4


def test_a_tenant_is_a_wall() -> None:
    views = folded([*life(1, "t1"), *life(9, "t1", tenant="umbrella"), *life(17, "t2", tenant="umbrella")])

    assert views.task("acme", "t2") is None
    assert views.task("acme", "omni:t2") is None
    assert ids(listed(views)) == ["t1"]
    assert [view.tenant for view in listed(views, "umbrella").tasks] == ["umbrella", "umbrella"]


def test_a_task_is_found_by_every_name_and_the_newer_of_two_has_a_shared_one() -> None:
    views = folded([
        line(1, "t1", "task", submitted(aliases=("omni:job_1", "omni:mine"))),
        line(2, "t2", "task", submitted(aliases=("omni:job_2", "omni:mine"))),
        line(3, "t1", "task", TaskStarted(attempt=1)),
    ], 1)  # fmt: skip

    found = {name: view.task_id for name in ("t1", "omni:job_1", "omni:job_2", "omni:mine") if (view := views.task("acme", name))}
    assert found == {"t1": "t1", "omni:job_1": "t1", "omni:job_2": "t2", "omni:mine": "t2"}
    assert views.task("acme", "job_1") is None


def kept(path: Path, epoch: str = "k3v9", last_seq: int = 100) -> tuple[int, list[str]]:
    """Checkpoint and tasks as a new start finds them."""
    with closing(open_views(path, epoch, last_seq)) as views:
        return views.checkpoint, ids(listed(views))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Views of one task up to sequence 8."""
    path = tmp_path / "relay" / "relay-0.db"
    with closing(open_views(path, "k3v9", 0)) as views:
        folded(life(1, "t1"), views=views)
    return path


def test_views_are_gone_on_with_after_a_restart(file: Path) -> None:
    assert kept(file) == (8, ["t1"])
    assert kept(file, last_seq=8) == (8, ["t1"])
    with closing(open_views(file, "k3v9", 8)) as views:
        folded(life(9, "t2"), views=views)
    assert kept(file) == (16, ["t2", "t1"])


def test_views_of_another_log_are_thrown_away(file: Path) -> None:
    assert kept(file, epoch="zz99") == (0, [])


def test_views_ahead_of_the_log_are_thrown_away(file: Path) -> None:
    assert kept(file, last_seq=7) == (0, [])


def test_views_folded_by_other_code_are_thrown_away(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_views, "FORM", "of the next release")
    assert kept(file) == (0, [])


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "scribbled", "no tables"])
def test_a_damaged_file_is_thrown_away(file: Path, damage: str) -> None:
    whole = file.read_bytes()
    page = 4096
    match damage:
        case "text":
            file.write_text("hello " * 5000)
        case "empty":
            file.write_bytes(b"")
        case "cut":
            file.write_bytes(whole[: len(whole) // 2])
        case "scribbled":
            file.write_bytes(whole[: 2 * page] + b"\xa5" * (len(whole) - 2 * page))
        case _:
            with closing(sqlite3.connect(file)) as db:
                db.execute("DROP TABLE origin")
                db.commit()

    assert kept(file) == (0, [])
    assert kept(file) == (0, [])


def test_two_relays_do_not_share_a_file(file: Path) -> None:
    with closing(open_views(file, "k3v9", 100)), pytest.raises(Conflict) as refusal:
        open_views(file, "k3v9", 100)
    assert refusal.value.code == "VIEWS_IN_USE"
    assert kept(file) == (8, ["t1"])


def test_a_batch_is_kept_whole_or_not_at_all(file: Path) -> None:
    with closing(open_views(file, "k3v9", 100)) as views:
        view = views.task("acme", "t1")
        assert view
        unstorable = view.model_copy(update={"task_id": "t\ud800"})
        with pytest.raises(ValueError):
            views.keep(Changes(tasks=[view.model_copy(update={"task_id": "t9"}), unstorable]), 50)
        assert (views.checkpoint, ids(listed(views)), views.counts().total) == (8, ["t1"], 1)
        views.keep(Changes(), 51)
    assert kept(file) == (51, ["t1"])
