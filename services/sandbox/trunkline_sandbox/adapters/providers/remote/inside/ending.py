"""Ending whoever runs in the sandbox without a namespace to end: by their parents, and by the mark they carry; part of the porter."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from trunkline_sandbox.adapters.providers.remote.inside.runs import PATIENCE, Refusal, Run

KILL, STOP = 9, 19
MARK = "TRUNKLINE_SANDBOX_MARK"


def look(pid: int) -> list[bytes]:
    """State, parent and more; nothing for one that is gone, or dead and not buried yet."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return []
    return [] if words[0] in (b"Z", b"X") else words


def everybody() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def below(top: int) -> list[int]:
    """All whose parents lead to `top`."""
    parents = {pid: int(words[1]) for pid in everybody() if (words := look(pid))}
    found: list[int] = []
    todo = [top]
    while todo:
        parent = todo.pop()
        children = [pid for pid, its in parents.items() if its == parent]
        found += children
        todo += children
    return found


def strays(mark: bytes) -> list[int]:
    """Those that carry the mark: whom a runner left behind that died before them."""
    return [pid for pid in everybody() if pid != os.getpid() and look(pid) and carries(pid, mark)]


def carries(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False


def send(pid: int, signal: int) -> None:
    with suppress(OSError):
        os.kill(pid, signal)


def end(run: Run, mark: bytes) -> None:
    """Its runner with all below it, then who is left in the sandbox."""
    end_one(run)
    clear(mark)


def end_one(run: Run) -> None:
    """Kill what is below the runner while it stands still, for who is orphaned comes to it; then the runner."""
    pid, patience = run.pid(), time.monotonic() + PATIENCE
    if pid:
        send(pid, STOP)
        while found := below(pid):
            for one in found:
                send(one, KILL)
            wait(patience)
        send(pid, KILL)
    while run.runs():
        wait(patience)


def clear(mark: bytes) -> None:
    """End who carries the mark and has no runner any more."""
    patience = time.monotonic() + PATIENCE
    while found := strays(mark):
        for one in found:
            send(one, KILL)
        wait(patience)


def wait(patience: float) -> None:
    if time.monotonic() > patience:
        raise Refusal("SANDBOX_NOT_STOPPED", "something in the sandbox cannot be ended")
    time.sleep(0.002)
