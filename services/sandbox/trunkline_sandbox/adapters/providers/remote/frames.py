"""The spool's bytes as they come from a sandbox, cut into lines; whatever is in there may be a lie, so nothing in it is trusted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trunkline_sandbox.adapters.providers.remote.inside.runs import HEAD
from trunkline_sandbox.ports import Exit, Line

LONGEST: Final = 64 << 20
"""Bytes of one frame: no limit of a line is that high."""
CAUSES: Final = ("killed", "wall", "disk", "memory", "lost")
LOST: Final = Exit(None, None, "lost")


@dataclass(slots=True)
class Frames:
    """Takes pieces in order, gives whole lines and the end."""

    taken: int = 0
    """Bytes so far: where the next piece begins."""
    over: bool = False
    """The end was given; what comes behind it is nothing."""
    _rest: bytearray = field(default_factory=bytearray)

    def feed(self, piece: bytes) -> Iterator[Line | Exit]:
        """The spool of a runner that was tampered with ends as one that is lost."""
        self.taken += len(piece)
        self._rest += piece
        at = 0
        while len(self._rest) - at >= HEAD.size:
            kind, length, number, cut = HEAD.unpack_from(self._rest, at)
            if length > LONGEST or kind not in b"SOEX":
                self.over = True
                yield LOST
                return
            if at + HEAD.size + length > len(self._rest):
                break
            data = bytes(self._rest[at + HEAD.size : at + HEAD.size + length])
            at += HEAD.size + length
            if kind == b"X":
                self.over = True
                yield _exit(data)
                return
            if kind != b"S":
                yield Line(number, data, kind == b"E", cut)
        del self._rest[:at]


def _exit(data: bytes) -> Exit:
    try:
        said = json.loads(data)
        code, signal, cause, dropped = (said[name] for name in ("code", "signal", "cause", "dropped"))
    except (ValueError, KeyError, TypeError):
        return LOST
    if not all(one is None or isinstance(one, int) for one in (code, signal)) or not isinstance(dropped, int):
        return LOST
    return Exit(code, signal, cause if cause is None or cause in CAUSES else "lost", dropped)
