"""What the doctor makes of a running stack: its clock, its store, its streams, and what in it stands still or was left behind: pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, assert_never

from trunkline.contracts.ids import wire_id
from trunkline.contracts.integrity import Integrity
from trunkline.contracts.task import TaskStatus
from trunkline.contracts.views import TaskView
from trunkline_cli.checks import Check, State
from trunkline_cli.stack_facts import Found

SKEW: Final = 2.0
"""Seconds of difference that do no harm."""
FULL: Final = 0.8
QUIET: Final = timedelta(minutes=15)
"""A task under way says something more often than this, or waits for somebody and says so."""
GRACE: Final = timedelta(minutes=5)
"""Behind a deadline, for its timer and for a stop in two steps."""
SHOWN: Final = 3
_BOX: Final = re.compile(r"([0-9a-f]{32})-\d+")


def all_of(found: Found, now: datetime, boxes: Path) -> dict[str, Callable[[], Check]]:
    """Each look by its name."""
    return {
        "clock": lambda: clock(found),
        "store": lambda: store(found),
        "streams": lambda: streams(found),
        "services": lambda: services(found),
        "work": lambda: work(found),
        "stuck tasks": lambda: stuck(found, now),
        "orphans": lambda: orphans(found, _names(boxes)),
        "audit chain": lambda: audit(found),
    }


def clock(found: Found) -> Check:
    off = abs(found.ahead_s)
    if off <= SKEW:
        return Check("clock", State.OK, f"within {max(off, 0.01):.2f} s of nats-server's")
    way = "ahead of" if found.ahead_s > 0 else "behind"
    remedy = "Let all machines take their time from one place (chrony, systemd-timesyncd): deadlines, leases and tokens go by it."
    return Check("clock", State.WARN, f"nats-server's clock is {off:.1f} s {way} this machine's", remedy)


def store(found: Found) -> Check:
    if not found.limit:
        return Check("store", State.OK, f"{found.used / (1 << 20):,.0f} MiB, no limit of nats-server's")
    share = found.used / found.limit
    told = f"{found.used / (1 << 20):,.0f} of {found.limit / (1 << 20):,.0f} MiB"
    remedy = "Raise nats_store_limit (and free disk), or keep events for fewer days (events_days)."
    return Check("store", State.OK if share < FULL else State.WARN, told, "" if share < FULL else remedy)


def streams(found: Found) -> Check:
    if not found.amiss:
        return Check("streams", State.OK, "every stream and consumer is as declared")
    remedy = (
        "Start a service of this version: it makes what is missing, and brings lines of an earlier one up to date. "
        "What else differs was made by hand: change it back."
    )
    return Check("streams", State.MISSING, _some(found.amiss), remedy)


def services(found: Found) -> Check:
    if not found.silent:
        return Check("services", State.OK, "all answer")
    return Check(
        "services", State.WARN, f"no answer of {', '.join(found.silent)}", "Start them: `trunkline up`, or `trunkline serve NAME`."
    )


def work(found: Found) -> Check:
    waiting = Counter(str(item.get("pool") or item["@subject"].split(".")[1]) for item in found.work)
    alone = {pool: count for pool, count in waiting.items() if pool not in found.takers}
    if not alone:
        return Check("work", State.OK, f"{sum(waiting.values())} under way or waiting, and every pool has a taker")
    told = ", ".join(f"{count} in {pool}" for pool, count in sorted(alone.items()))
    return Check("work", State.WARN, f"waits and nobody takes it: {told}", "Start an agent of that pool, or a sandbox service for `dev`.")


def stuck(found: Found, now: datetime) -> Check:
    """Tasks past their deadline, and those under way of which nothing was heard for long and that nobody carries."""
    if not found.known:
        return Check("stuck tasks", State.WARN, "not looked at: no relay of this version tells what is not over", "Start the relay.")
    carried = {str(item.get("task")) for item in found.work}
    late = [task for task in found.tasks if _overdue(task, now)]
    quiet = [task for task in found.tasks if task not in late and _quiet(task, now) and task.task_id not in carried]
    if not (late or quiet):
        return Check("stuck tasks", State.OK, f"none of {len(found.tasks)} that are not over")
    told = [f"past its deadline: {_name(task)}" for task in late] + [f"no sign of life since {_at(task)}: {_name(task)}" for task in quiet]
    return Check(
        "stuck tasks", State.WARN, _some(told), "Look with `trunkline watch ID`; end it with `trunkline cancel ID`, and ask for it again."
    )


def orphans(found: Found, boxes: Sequence[str]) -> Check:
    """What belongs to no task that goes on: sandboxes, work and timers."""
    if not found.known:
        return Check("orphans", State.WARN, "not looked at: no relay of this version tells what is not over", "Start the relay.")
    alive = {task.task_id for task in found.tasks}
    left = [name for name in boxes if (of := _BOX.fullmatch(name)) and of[1] not in alive]
    leases = [str(item["task"]) for item in found.work if item.get("task") and item["task"] not in alive]
    timers = [timer for timer in found.timers if isinstance(timer.get("task"), str) and timer["task"] not in alive]
    if not (left or leases):
        more = f"; {len(timers)} timers of ended tasks, which do nothing when they fire" if timers else ""
        return Check("orphans", State.OK, f"no sandbox and no work without a task{more}")
    told = [f"sandbox {name}" for name in left] + [f"work of the ended task {wire_id(task)}" for task in leases]
    remedy = "The sandbox service removes both within minutes while it runs; if they stay, restart it."
    return Check("orphans", State.WARN, _some(told), remedy)


def audit(found: Found) -> Check:
    """Whether the log is as it was written, by what its witness found at its start and has chained since."""
    view = found.integrity
    if view is None:
        remedy = "Start the relay, or run `trunkline verify`."
        return Check("audit chain", State.WARN, "not looked at: no relay of this version answers", remedy)
    remedy = f"{view.said[:1].upper()}{view.said[1:]}."
    signed = f"signed for up to record {view.sealed:,}" if view.sealed else "nothing signed for yet"
    match view.state:
        case Integrity.WHOLE if view.findings:  # it was begun a while ago
            return Check("audit chain", State.WARN, _some(view.findings), remedy)
        case Integrity.WHOLE:
            return Check("audit chain", State.OK, f"the log is as it was written, {signed}")
        case Integrity.CHECKING:
            return Check("audit chain", State.OK, f"being looked through since the relay's start, {signed}")
        case Integrity.BROKEN:
            return Check("audit chain", State.REFUSED, _some(view.findings), remedy)
        case Integrity.UNSIGNED:
            return Check("audit chain", State.WARN, f"not signed for now: {_some(view.findings)}", remedy)
        case Integrity.OFF:
            return Check("audit chain", State.WARN, "nobody keeps a book of the log", "Give the relay a data directory (data_dir).")
        case never:
            assert_never(never)


def _overdue(task: TaskView, now: datetime) -> bool:
    limit = task.assignment.deadline_s
    began = task.assignment.start_at or task.submitted_at
    return bool(limit) and task.approval_status != "pending" and now - began > timedelta(seconds=float(limit or 0)) + GRACE


def _quiet(task: TaskView, now: datetime) -> bool:
    waits = task.waiting_for or task.approval_waiting or task.paused or task.approval_status == "pending"
    under_way = task.status in (TaskStatus.ASSIGNED, TaskStatus.IN_PROGRESS, TaskStatus.STOPPING)
    return under_way and not waits and now - task.updated_at > QUIET


def _name(task: TaskView) -> str:
    return f"{task.tenant}/{wire_id(task.task_id)}"


def _at(task: TaskView) -> str:
    return f"{task.updated_at:%Y-%m-%d %H:%M} UTC"


def _some(told: Iterable[str]) -> str:
    words = list(told)
    return "; ".join(words[:SHOWN]) + (f"; and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


def _names(boxes: Path) -> list[str]:
    return sorted(entry.name for entry in boxes.iterdir()) if boxes.is_dir() else []
