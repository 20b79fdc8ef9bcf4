"""How much memory everything in the sandbox holds together, where no control group counts it; part of the runner."""

from __future__ import annotations

PACE = 4 << 30
"""Bytes that one core can touch in a second, at most: the nearer the limit, the sooner we look again."""
OFTEN, SELDOM, LEAST = 0.01, 0.25, 0.5
_HELD = (b"RssAnon:", b"RssShmem:", b"VmSwap:")
_SHARE = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")


def kibibytes(path: str, names: tuple[bytes, ...]) -> int | None:
    """The sum of these lines in bytes; None when the file cannot be read or has none of them."""
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")  # a process may have a carriage return in its name
    except OSError:
        return None
    found = [int(line.split()[1]) << 10 for line in lines if line.startswith(names)]
    return sum(found) if found else None


def most(pid: int) -> int:
    """What the process holds, were nothing of it shared. Mapped files do not count: the kernel takes those back by itself."""
    return kibibytes(f"/proc/{pid}/status", _HELD) or 0


def fair(pid: int) -> int:
    """The same with what several hold divided among them; a process that lets nobody look is charged with all of it."""
    part = kibibytes(f"/proc/{pid}/smaps_rollup", _SHARE)
    return most(pid) if part is None else part


def unattached() -> int:
    """System V segments that no process has attached, of this namespace."""
    try:
        with open("/proc/sysvipc/shm", "rb") as file:
            rows = [line.split() for line in file.readlines()[1:]]
    except OSError:
        return 0
    return sum(int(row[-2]) + int(row[-1]) for row in rows if row[6] == b"0")


def held(pids: list[int], stop: float) -> int:
    """Bytes held by all of them; looks closely, which is dear, only when a glance says more than `stop`."""
    beside = unattached()
    glance = beside + sum(most(pid) for pid in pids)
    return glance if glance <= stop else beside + sum(fair(pid) for pid in pids)


def pause(room: float, cores: float, cost: float) -> float:
    """Seconds until the next look: no longer than `room` bytes can last, and a tenth of one core for looking at most."""
    return min(max(min(room / (PACE * cores), SELDOM), OFTEN, 9 * cost), LEAST)
