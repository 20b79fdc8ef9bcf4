"""The numbered lines of an agent's output, on their way into the spool; part of the runner, which is one file once installed."""

from __future__ import annotations

import os
import time

CHUNK = 1 << 18
FRAME = 24
"""Bytes that a line costs beside its own; counted, or empty lines would be free."""
START, OUT, ERR, EXIT = b"S", b"O", b"E", b"X"


class Spool:
    """The numbered lines; what goes beyond the limit is counted and dropped."""

    def __init__(self, fd: int, limit: int) -> None:
        self.fd, self.room, self.lines, self.dropped = fd, limit, 0, 0

    def put(self, kind: bytes, data: bytes, number: int = 0, cut: int = 0) -> bytes:
        """A frame."""
        head = kind + b"\0\0\0" + len(data).to_bytes(4, "little") + number.to_bytes(8, "little") + cut.to_bytes(8, "little")
        return head + data

    def append(self, frames: bytes) -> bool:
        """Write whole frames or none: a full disk must not leave half a frame behind."""
        whole = os.fstat(self.fd).st_size
        data = memoryview(frames)
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError:
            os.ftruncate(self.fd, whole)
            return False
        return True

    def keep(self, kind: bytes, lines: list[bytes], cut: int = 0) -> None:
        frames, size, first = [], 0, self.lines
        for line in lines:
            size += len(line)
            self.lines += 1
            frames.append(self.put(kind, line, self.lines, cut))
        if frames and not self.append(b"".join(frames)):
            self.lines, self.room = first, 0
            self.dropped += size
        self.room -= size + FRAME * len(frames)

    def end(self, code: int | None, signal: int | None, cause: str | None) -> None:
        words = {"code": code, "signal": signal, "cause": None if cause is None else f'"{cause}"', "dropped": self.dropped}
        text = "{" + ",".join(f'"{name}":{"null" if word is None else word}' for name, word in words.items()) + "}"
        for _ in range(50):
            if self.append(self.put(EXIT, text.encode())):
                os.fsync(self.fd)
                return
            time.sleep(0.1)


class Stream:
    """One of the agent's outputs: bytes in, lines out."""

    def __init__(self, fd: int, kind: bytes, spool: Spool, shape: tuple[int, bytes]) -> None:
        self.fd, self.kind, self.spool = fd, kind, spool
        self.longest, self.needle = shape
        self.rest, self.cut, self.ended = b"", 0, False
        os.set_blocking(fd, False)

    def pull(self) -> bool | None:
        """Take what is there: True when there was something, None at the end of the stream."""
        try:
            chunk = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            return None
        self.feed(chunk)
        return True

    def feed(self, chunk: bytes) -> None:
        last = chunk.rfind(b"\n")
        if last < 0:
            self.grow(chunk)
            return
        first = chunk.find(b"\n")
        self.grow(chunk[:first])
        self.flush()
        if last > first:
            self.bulk(chunk[first + 1 : last])
        self.grow(chunk[last + 1 :])

    def grow(self, piece: bytes) -> None:
        room = self.longest - len(self.rest)
        self.cut += max(0, len(piece) - room)
        self.rest += piece[:room]

    def flush(self) -> None:
        """The line that was gathered is whole."""
        line, cut = self.rest, self.cut
        self.rest, self.cut = b"", 0
        if self.wanted(line):
            self.spool.keep(self.kind, [line], cut)
        else:
            self.spool.room = 0
            self.spool.dropped += len(line) + cut

    def bulk(self, block: bytes) -> None:
        """Whole lines, shorter than a chunk: the quick way when they are all kept, or all dropped."""
        if len(block) + FRAME * (block.count(b"\n") + 1) > self.spool.room:
            self.sift(block)
            return
        if self.needle and self.needle in block:
            self.ended = True
        if self.longest < CHUNK:
            self.each(block)
        else:
            self.spool.keep(self.kind, block.split(b"\n"))

    def each(self, block: bytes) -> None:
        for line in block.split(b"\n"):
            self.grow(line)
            self.flush()

    def sift(self, block: bytes) -> None:
        """At the limit: line by line over it, in one piece beyond it; the line that ends the work is kept whatever its place."""
        if self.spool.room > 0 or (self.needle and self.needle in block):
            self.each(block)
        else:
            self.spool.dropped += len(block)

    def wanted(self, line: bytes) -> bool:
        if self.needle and not self.ended and self.needle in line:
            self.ended = True
            return True
        return len(line) + FRAME <= self.spool.room

    def close(self) -> None:
        if self.rest or self.cut:
            self.flush()
