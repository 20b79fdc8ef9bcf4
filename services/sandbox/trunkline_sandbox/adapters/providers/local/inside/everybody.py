"""Everybody in the sandbox: found, stopped where they stand and continued, ended; part of the runner."""

from __future__ import annotations

import os
import time

SIGKILL, SIGCONT, SIGSTOP = 9, 18, 19
STOPPED = (b"T", b"t", b"Z", b"X")
STUBBORN_S = 1.0
"""How long to wait for who is deep in the kernel: a write is over in a moment, but a vfork waits as long as its child is stopped."""


def stat_of(pid: int) -> list[bytes]:
    """State, parent and more; nothing for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children() -> list[int]:
    """Everybody below us, by their parents."""
    parents = {pid: int(stat[1]) for pid in pids() if (stat := stat_of(pid))}
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        parent = todo.pop()
        below = [pid for pid, its in parents.items() if its == parent]
        found += below
        todo += below
    return found


def members(alone: bool) -> list[int]:
    """Everybody in the sandbox. `alone`: in a namespace of our own, which spares us looking for who is below us."""
    return pids() if alone else children()


def halt(alone: bool) -> list[int]:
    """Stop everybody but us, oldest first so that no parent sees its child stop; who was stopped before is not among those returned."""
    seen, end = {os.getpid()}, time.monotonic() + STUBBORN_S
    stopped: list[int] = []
    while True:
        quiet = all(
            state_of(pid) in STOPPED for pid in stopped
        )  # asked first: who is in the middle of a fork has one more child in a moment
        new = sorted(pid for pid in members(alone) if pid not in seen)
        if not new and (quiet or time.monotonic() > end):
            return stopped
        for pid in new:
            if state_of(pid) not in STOPPED:
                send(pid, SIGSTOP)
                stopped.append(pid)
        seen.update(new)
        time.sleep(0 if new else 0.001)


def state_of(pid: int) -> bytes:
    return (stat_of(pid) or [b"X"])[0]


def go_on(stopped: list[int]) -> None:
    """Youngest first, for the same reason."""
    for pid in reversed(stopped):
        send(pid, SIGCONT)


def send(pid: int, signal: int) -> None:
    try:
        os.kill(pid, signal)
    except OSError:
        return
