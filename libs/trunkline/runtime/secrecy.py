"""Keeps what a process was told in confidence to itself: out of core files, out of the list of processes, out of its log."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import BaseModel, SecretStr

from trunkline.telemetry import logs

_MASK: Final = ord("*")
_CORE_FILTER: Final = Path("/proc/self/coredump_filter")
"""The limit does not hold for a core that is piped to a program; what goes into one does. Both are inherited."""


def confide(variables: Iterable[str]) -> None:
    """No core files from here on (a program of the system that takes them is given no memory), and the values of these environment
    variables are gone: from the process, from whatever it starts, and from the block that the kernel shows to others of the same user.
    Whoever needs them read them before."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # not everywhere
        _CORE_FILTER.write_text("0")
    names = [name for name in variables if name in os.environ]
    if sys.platform == "linux":
        _overwrite(names)
    for name in names:
        del os.environ[name]


def unspoken(*settings: BaseModel) -> None:
    """No log line shows a secret of these settings from here on."""
    logs.shield(*(pair for each in settings for pair in secrets_of(each)))


def secrets_of(settings: BaseModel) -> Iterator[tuple[str, str]]:
    """Name and value of every secret that is set."""
    for name in type(settings).model_fields:
        match getattr(settings, name):
            case SecretStr() as secret:
                yield name, secret.get_secret_value()
            case Mapping() as table:
                yield from ((name, value.get_secret_value()) for value in table.values() if isinstance(value, SecretStr))


def _overwrite(names: Iterable[str]) -> None:
    """In place, where the values lay when the process began: deleting a variable leaves them there."""
    wanted = tuple(f"{name}=".encode() for name in names)
    block = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
    place = 0
    while wanted and (entry := block[place]):
        text = ctypes.string_at(entry)
        if text.startswith(wanted):
            begin = text.index(b"=") + 1
            ctypes.memset(entry + begin, _MASK, len(text) - begin)
        place += 1
