"""Knows how many connections the limit of open files leaves room for: a process that runs out of files answers nobody."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

import structlog

log = structlog.get_logger()

SPARE: Final = 1000
"""Files for everything but streams: requests under way, refusals, the log, other services of the process."""
OWN: Final = 200
"""Of these, for what is no connection of a caller's."""


def room(streams: int) -> int:
    """As many streams as may be open at once: `streams`, or what the limit of open files allows after it was raised as far as it goes."""
    files = _allowed(streams + SPARE)
    fits = fitting(streams, files)
    if fits < streams:
        log.warning("gateway.few_open_files", streams=fits, wanted=streams, open_files=files, needed=streams + SPARE)
    return fits


def fitting(streams: int, files: int) -> int:
    """How many of `streams` go with so many files, a half of them at least."""
    return min(streams, max(files - SPARE, files // 2))


def connections(streams: int) -> int:
    """As many connections as may be open at once, streams and all others, by what is allowed now."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return taken(streams, streams + SPARE if files == resource.RLIM_INFINITY else files)


def taken(streams: int, files: int) -> int:
    """Streams and half of what is spare; some files are for what is no connection."""
    return max(1, min(fitting(streams, files) + SPARE // 2, files - OWN))


def _allowed(wanted: int) -> int:
    """How many files may be open now; the limit that a process may raise by itself is raised to `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft
