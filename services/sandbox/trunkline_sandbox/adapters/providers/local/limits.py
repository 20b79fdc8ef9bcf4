"""Limits by control groups, version 2 or 1, where the host lets us; where not, the runner weighs memory and `seats` keeps to few cores."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from trunkline_sandbox.ports import Limits

_V1 = ("pids", "memory", "cpu")
_PERIOD = 100_000
"""Microseconds, over which the processors' time is divided."""
_AFTER_US = 25
"""A sandbox's weight against the 100 of whoever is beside it: where processors are short, agents share evenly and ours come first."""
_OURS = 8
"""Processes of ours beside the agent's: bubblewrap, the runner, the forwarder and their threads."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Where groups can be made. `parents` is by controller for version 1, and one entry `unified` for version 2."""

    kind: str
    parents: Mapping[str, Path] = field(default_factory=dict)


NONE = Groups("rlimits")


def divides_time(groups: Groups) -> bool:
    """Whether the groups limit the processors' time; if not, sandboxes are kept on few processors."""
    return "unified" in groups.parents or "cpu" in groups.parents


def words(groups: Groups) -> str:
    """What kind of limits holds, for people."""
    pinned = () if divides_time(groups) else ("cores pinned",)
    weighed = ("memory weighed",) if groups == NONE else ()
    return ", ".join((groups.kind, *weighed, *pinned))


def find(mount: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Groups:
    """What this host offers to us."""
    lines = [line.split(":", 2) for line in own.read_text().splitlines()] if own.exists() else []
    if (mount / "cgroup.controllers").exists():
        path = next((path for number, _, path in lines if number == "0"), "/")
        return _unified(mount, path)
    return _legacy(mount, {name: path for _, names, path in lines for name in names.split(",")})


def _unified(mount: Path, path: str) -> Groups:
    own = mount / path.lstrip("/")
    for parent in (own, own.parent, mount):
        if parent.is_relative_to(mount) and _offers(parent):
            return Groups("cgroup v2", {"unified": parent})
    return NONE


def _offers(parent: Path) -> bool:
    """Whether groups below `parent` get pids, memory and cpu, after asking for them."""
    if not os.access(parent, os.W_OK):
        return False
    file = parent / "cgroup.subtree_control"
    with suppress(OSError):
        if not set(_V1) <= set(file.read_text().split()):
            file.write_text("+pids +memory +cpu")
        return set(_V1) <= set(file.read_text().split())
    return False


def _legacy(mount: Path, paths: Mapping[str, str]) -> Groups:
    parents = {}
    for name in _V1:
        own = mount / name / paths.get(name, "/").lstrip("/")
        parent = own if own.is_dir() else mount / name
        if parent.is_dir() and os.access(parent, os.W_OK):
            parents[name] = parent
    return Groups("cgroup v1", parents) if "pids" in parents and "memory" in parents else NONE


def make(groups: Groups, name: str, limits: Limits) -> tuple[str, ...]:
    """The group's directories, made and limited; making them again sets the limits again."""
    if groups.kind == "cgroup v2":
        return _make_unified(groups.parents["unified"] / name, limits)
    return tuple(_make_legacy(controller, parent / name, limits) for controller, parent in groups.parents.items())


def named(groups: Groups, name: str) -> tuple[str, ...]:
    """Where the group of that name has its directories, made or not."""
    return tuple(str(parent / name) for parent in groups.parents.values())


def names(groups: Groups, prefix: str) -> set[str]:
    """Of the groups that are there, those that begin so."""
    return {path.name for parent in groups.parents.values() for path in parent.glob(f"{prefix}*")}


def drop_empty(cage: tuple[str, ...]) -> None:
    """Remove the group where nothing is in it, without waiting for that."""
    for dir in cage:
        with suppress(OSError):
            os.rmdir(dir)


def _make_unified(dir: Path, limits: Limits) -> tuple[str, ...]:
    dir.mkdir(exist_ok=True)
    (dir / "pids.max").write_text(str(limits.processes + _OURS))
    (dir / "memory.max").write_text(str(limits.memory))
    (dir / "cpu.weight").write_text(str(_AFTER_US))
    quota = _quota(limits)
    _save_up(dir / "cpu.max.burst", 0)  # it may not be more than the quota, at no moment
    (dir / "cpu.max").write_text(f"{quota or 'max'} {_PERIOD}")
    _save_up(dir / "cpu.max.burst", quota)
    with suppress(OSError):
        (dir / "memory.swap.max").write_text("0")
    return (str(dir),)


def _make_legacy(controller: str, dir: Path, limits: Limits) -> str:
    dir.mkdir(exist_ok=True)
    match controller:
        case "pids":
            (dir / "pids.max").write_text(str(limits.processes + _OURS))
        case "memory":
            (dir / "memory.limit_in_bytes").write_text(str(limits.memory))
            with suppress(OSError):
                (dir / "memory.memsw.limit_in_bytes").write_text(str(limits.memory))
        case _:
            (dir / "cpu.shares").write_text(str(1024 * _AFTER_US // 100))
            quota = _quota(limits)
            _save_up(dir / "cpu.cfs_burst_us", 0)
            (dir / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (dir / "cpu.cfs_quota_us").write_text(str(quota or -1))
            _save_up(dir / "cpu.cfs_burst_us", quota)
    return str(dir)


def _quota(limits: Limits) -> int:
    """Microseconds in each period; 0 is all that there is."""
    return max(1000, int(limits.cpus * _PERIOD)) if limits.cpus else 0


def _save_up(file: Path, quota: int) -> None:
    """Let what was not used be used a moment later, where the kernel can (5.14): an agent waits most of the time, and then hurries."""
    with suppress(OSError):
        if file.exists():
            file.write_text(str(quota))


def join(cage: tuple[str, ...], pid: int) -> None:
    """Put the process into its group of version 2."""
    for dir in cage:
        if not (Path(dir) / "tasks").exists():
            (Path(dir) / "cgroup.procs").write_text(str(pid))


def doors(cage: tuple[str, ...], uid: int | None) -> tuple[str, ...]:
    """The files by which a single thread of `uid` joins its groups of version 1: three times as fast as being moved from outside."""
    found = [path for dir in cage if (path := Path(dir) / "tasks").exists()]
    for path in found:
        os.chown(path, -1 if uid is None else uid, -1)
    return tuple(str(path) for path in found)


def members(cage: tuple[str, ...]) -> set[int]:
    """Pids of all that is in the group."""
    pids: set[int] = set()
    for dir in cage:
        with suppress(OSError):
            pids |= {int(word) for word in (Path(dir) / "cgroup.procs").read_text().split()}
    return pids


def kill_at_once(cage: tuple[str, ...]) -> None:
    """Version 2 can end a whole group in one go; elsewhere this does nothing."""
    for dir in cage:
        with suppress(OSError):
            file = Path(dir) / "cgroup.kill"
            if file.exists():
                file.write_text("1")


def memory_events(cage: tuple[str, ...]) -> Path | None:
    """The file that counts what the kernel killed for memory."""
    names = ("memory.events", "memory.oom_control")
    return next((path for dir in cage for name in names if (path := Path(dir) / name).exists()), None)


def ran_out_of_memory(cage: tuple[str, ...]) -> bool:
    path = memory_events(cage)
    if path is None:
        return False
    words = path.read_text().split()
    return "oom_kill" in words and words[words.index("oom_kill") + 1] != "0"


def drop(cage: tuple[str, ...]) -> None:
    """Remove the group; it must be empty, or it stays."""
    for dir in cage:
        for _ in range(20):
            try:
                Path(dir).rmdir()
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)
            else:
                break
