"""Processes of the host, told apart by pid and start time together."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process that another one with the same pid is not mistaken for. `started` is in clock ticks since boot."""

    pid: int
    started: int


def find(pid: int) -> Process | None:
    """The living process `pid`; a zombie counts as gone."""
    stat = _stat(pid)
    if stat is None or stat[0] in (b"Z", b"X"):
        return None
    return Process(pid, int(stat[19]))


def alive(process: Process) -> bool:
    return find(process.pid) == process


def kill(process: Process) -> None:
    """SIGKILL, unless the pid is somebody else's by now."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        if alive(process):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(fd)


def below(pid: int) -> list[Process]:
    """Every living descendant of `pid`."""
    parents = {child: int(stat[1]) for child in _pids() if (stat := _stat(child)) is not None}
    found: list[int] = []
    todo = [pid]
    while todo:
        parent = todo.pop()
        children = [child for child, its in parents.items() if its == parent]
        found += children
        todo += children
    return [process for child in found if (process := find(child)) is not None]


def marked(mark: bytes) -> list[Process]:
    """Every living process whose environment was started with `mark` (NAME=value)."""
    return [process for pid in _pids() if mark in _environ(pid).split(b"\0") and (process := find(pid)) is not None]


def _pids() -> Iterable[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> list[bytes] | None:
    """The fields after the name, so that the state is 0, the parent 1 and the start time 19."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
