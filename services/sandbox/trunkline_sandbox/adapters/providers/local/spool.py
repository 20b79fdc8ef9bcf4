"""The spool: what the runner wrote of a program's output, as frames that any bytes fit into."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from trunkline_sandbox.ports import Exit, Line

HEAD = struct.Struct("<cxxxIQQ")
"""Kind, length of the data, line number, bytes cut; little-endian."""
START, OUT, ERR, EXIT = b"S", b"O", b"E", b"X"
CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Start:
    """The program is about to run. `boottime` is in seconds of CLOCK_BOOTTIME, the same in and outside."""

    boottime: float
    pid: int
    """As the runner sees it: 1 in a namespace of its own, a pid of the host without one."""


Frame = Start | Line | Exit


@dataclass(slots=True)
class Reader:
    """Reads whole frames of a spool from the first on; what is half-written is left for later."""

    fd: int
    offset: int = 0
    """Where the first frame that was not read yet begins."""
    _rest: bytearray = field(default_factory=bytearray)

    def read(self) -> list[Frame]:
        """The next frames, some 256 KiB of them; none when there is nothing new."""
        chunk = os.pread(self.fd, CHUNK, self.offset + len(self._rest))
        if not chunk:
            return []
        self._rest += chunk
        frames, used = _split(self._rest)
        del self._rest[:used]
        self.offset += used
        return frames if frames else self.read()


def _split(data: bytearray) -> tuple[list[Frame], int]:
    frames: list[Frame] = []
    at = 0
    while len(data) - at >= HEAD.size:
        kind, length, number, cut = HEAD.unpack_from(data, at)
        end = at + HEAD.size + length
        if end > len(data):
            break
        frames.append(_frame(kind, bytes(data[at + HEAD.size : end]), number, cut))
        at = end
    return frames, at


def _frame(kind: bytes, data: bytes, number: int, cut: int) -> Frame:
    match kind:
        case b"S":
            boottime, pid = data.split()
            return Start(float(boottime), int(pid))
        case b"X":
            return Exit(**json.loads(data))
        case _:
            return Line(number, data, kind == ERR, cut)


def frames(fd: int) -> Iterator[tuple[Frame, int]]:
    """Every whole frame that is there now, each with the offset up to which the spool is whole."""
    reader = Reader(fd)
    while batch := reader.read():
        yield from ((frame, reader.offset) for frame in batch)


def seal(fd: int, exit: Exit) -> None:
    """Write the end of a run that has none; the caller holds the spool's lock. A frame that was cut off by a kill goes."""
    found = list(frames(fd))
    if any(isinstance(frame, Exit) for frame, _ in found):
        return
    os.ftruncate(fd, found[-1][1] if found else 0)
    said = {"code": exit.code, "signal": exit.signal, "cause": exit.cause, "dropped": exit.dropped}
    data = json.dumps(said).encode()
    os.write(fd, HEAD.pack(EXIT, len(data), 0, 0) + data)
    os.fsync(fd)


def began(fd: int) -> Start | None:
    """How the program was started; None when none ever was on this spool."""
    first = os.pread(fd, 256, 0)
    if len(first) < HEAD.size or first[:1] != START:
        return None
    whole, _ = _split(bytearray(first[: HEAD.size + HEAD.unpack_from(first)[1]]))
    return next((frame for frame in whole if isinstance(frame, Start)), None)
