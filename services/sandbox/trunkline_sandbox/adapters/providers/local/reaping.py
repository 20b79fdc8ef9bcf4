"""End what runs in a sandbox, see that it is gone, and record how a run ended when its runner could not."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from trunkline.contracts.errors import Broken
from trunkline_sandbox.adapters.providers.local import limits, locks, processes, spool, unsafe
from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.adapters.providers.local.places import Place, Record, Run, places, readable, write_durably
from trunkline_sandbox.adapters.providers.local.processes import Process
from trunkline_sandbox.adapters.providers.local.starting import first_process
from trunkline_sandbox.ports import Exit

PATIENCE = 10.0


def stop(place: Place, record: Record, cause: str = "killed") -> int:
    """End everything inside and record why; how many processes there were. Raises Broken when something cannot be ended."""
    active = [run for run in place.runs() if not ended(run)]
    for run in active:
        _note(run, cause)
    seen: set[Process] = set()
    end = time.monotonic() + PATIENCE
    while (left := running(place, record)) or busy(place):
        seen |= left
        _kill(place, record, left)
        if time.monotonic() > end:
            raise Broken(f"{len(left)} processes of {place.dir.name} cannot be ended.", code="SANDBOX_NOT_STOPPED")
        time.sleep(0.002)
    for run in active:
        settle(record, run)
    return len(seen)


def end(record: Record, run: Run, cause: str = "killed") -> None:
    """End one start, and no other in its sandbox: without its first process nothing of its namespace lives. Raises Broken."""
    if ended(run) or not held(run):
        return
    _note(run, cause)
    until = time.monotonic() + PATIENCE
    while held(run):
        if first := _first(run):
            below = processes.below(first.pid) if record.isolation == unsafe.ISOLATION else ()
            for process in (first, *below):
                processes.kill(process)
        if time.monotonic() > until:
            raise Broken(f"A start in {run.dir.parent.parent.name} cannot be ended.", code="SANDBOX_NOT_STOPPED")
        time.sleep(0.002)
    settle(record, run)


def _note(run: Run, cause: str) -> None:
    """Say why it is ended, before it is. Who waits for the word never began: the same start may still be made later."""
    if held(run) and not run.stopping.exists() and not run.waiting.exists():
        write_durably(run.stopping, cause.encode())


def send_away(run: Run) -> None:
    """End a start that was made ahead and still waits for its word; what began is left alone. Raises Broken."""
    if not run.waiting.exists():
        return
    until = time.monotonic() + PATIENCE
    while held(run):
        if first := _first(run):
            processes.kill(first)
        if time.monotonic() > until:
            raise Broken(f"A start in {run.dir.parent.parent.name} that waits cannot be ended.", code="SANDBOX_NOT_STOPPED")
        time.sleep(0.002)
    run.waiting.unlink(missing_ok=True)


def _kill(place: Place, record: Record, left: set[Process]) -> None:
    """The runners first: one that saw its agent die would put an end of its own on record."""
    first = {process for run in place.runs() if (process := _first(run)) is not None}
    for process in [*first, *(left - first)]:
        processes.kill(process)
    limits.kill_at_once(record.cage)


def busy(place: Place) -> bool:
    """Whether a runner, or bubblewrap on its way to one, holds a spool."""
    return any(held(run) for run in place.runs())


def another_runs(place: Place, key: str) -> bool:
    """Whether a start under another key than this one holds the sandbox."""
    return any(held(run) for run in place.runs() if run != place.run(key))


def held(run: Run) -> bool:
    with Handed() as handed:
        try:
            return locks.held(handed.open(run.spool, os.O_RDONLY))
        except FileNotFoundError:
            return False


def running(place: Place, record: Record) -> set[Process]:
    """Every process of the sandbox that is known to us and lives."""
    found = {process for pid in limits.members(record.cage) if (process := processes.find(pid)) is not None}
    for run in place.runs():
        first = _first(run)
        if first is not None:
            found |= {first, *(processes.below(first.pid) if record.isolation == unsafe.ISOLATION else ())}
    if record.isolation == unsafe.ISOLATION:
        found |= set(processes.marked(f"{unsafe.MARK}={unsafe.mark(place)}".encode()))
    return found


def _first(run: Run) -> Process | None:
    """The living first process of a run: by its record, or by what was said before a record could be made."""
    try:
        process = Process(**json.loads(run.process.read_bytes()))
    except (OSError, ValueError, TypeError):
        return _unrecorded(run)
    return process if processes.alive(process) else None


def _unrecorded(run: Run) -> Process | None:
    with Handed() as handed:
        try:
            fd = handed.open(run.spool, os.O_RDWR)
        except FileNotFoundError:
            return None
        pid = first_process(run)
        if pid is None and (began := spool.began(fd)) is not None:
            pid = began.pid
        # Only while the lock is held is the pid still theirs.
        process = None if pid is None or pid == 1 else processes.find(pid)
        return process if locks.held(fd) else None


def ended(run: Run) -> bool:
    """Whether the run's end is on record."""
    with Handed() as handed:
        try:
            fd = handed.open(run.spool, os.O_RDONLY)
        except FileNotFoundError:
            return True
        return any(isinstance(frame, Exit) for frame, _ in spool.frames(fd))


def settle(record: Record, run: Run) -> None:
    """Record the end of a run whose runner is gone and recorded none; while a runner lives, nothing is done."""
    with Handed() as handed:
        fd = handed.open(run.spool, os.O_RDWR | os.O_APPEND)
        if not locks.take(fd) or spool.began(fd) is None:
            return
        if run.stopping.exists():
            spool.seal(fd, Exit(None, 9, run.stopping.read_text()))
        elif limits.ran_out_of_memory(record.cage):
            spool.seal(fd, Exit(None, 9, "memory"))
        else:
            spool.seal(fd, Exit(None, None, "lost"))


def known(root: Path) -> Iterator[tuple[Place, Record]]:
    """Every sandbox below `root` with its record; one that cannot be read is passed over."""
    for place in places(root):
        record = readable(place.record)
        if record is not None:
            yield place, record


def users(root: Path) -> Iterator[int | None]:
    """Whom the sandboxes below `root` run as; the folder says it where the record cannot be read."""
    for place in places(root):
        record = readable(place.record)
        if record is not None:
            yield record.uid
        elif (box := place.workspace.parent).exists():
            yield box.stat().st_uid


def kill_all(root: Path) -> int:
    """End every process of every sandbox below `root` and remove the control groups; how many processes there were. Needs no event loop."""
    total = 0
    for place, record in known(root):
        total += stop(place, record)
        limits.drop(record.cage)
    return total
