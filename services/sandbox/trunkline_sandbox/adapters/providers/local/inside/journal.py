"""What the agent is told: what it was given at its start, then the entries of the journal; part of the runner."""

from __future__ import annotations

import os

from trunkline_sandbox.adapters.providers.local.inside.lines import CHUNK

TOLD, WISH, SINCE, BEFORE, ENTRIES = 0, 8, 16, 24, 32
"""Where in the journal is what; ours to write are the third and the fourth."""
ENTRY_HEAD = 12
CLOSES = b"C"


class Journal:
    """The runner's end of the journal: it reads what counts as told, so that it never sees a part of an entry."""

    def __init__(self, fd: int) -> None:
        self.fd, self.at, self.left, self.last = fd, ENTRIES, 0, False

    def number(self, at: int) -> int:
        return int.from_bytes(os.pread(self.fd, 8, at), "little")

    def note(self, at: int, number: int) -> None:
        try:
            os.pwrite(self.fd, number.to_bytes(8, "little"), at)
        except OSError:  # a full disk must not end the run
            return

    def pull(self) -> bytes:
        """The next bytes for the agent; none when nothing more was told."""
        while not self.left:
            if self.last or self.at >= self.number(TOLD):
                return b""
            head = os.pread(self.fd, ENTRY_HEAD, self.at)
            self.last = head[:1] == CLOSES
            self.at += ENTRY_HEAD + int.from_bytes(head[4:8], "little")
            self.left = int.from_bytes(head[8:], "little")
        chunk = os.pread(self.fd, min(CHUNK, self.left), self.at)
        self.at += len(chunk)
        self.left -= len(chunk)
        return chunk

    def over(self) -> bool:
        """The last entry was read to its end."""
        return self.last and not self.left


class Input:
    """The agent's stdin."""

    def __init__(self, first: int, journal: Journal, agent: int) -> None:
        self.first: int | None = first
        self.agent: int | None = agent
        self.journal = journal
        self.queue = bytearray()
        os.set_blocking(agent, False)
        self.refill()

    def refill(self) -> None:
        while self.agent is not None and len(self.queue) < CHUNK and (chunk := self.pull()):
            self.queue += chunk

    def pull(self) -> bytes:
        if self.first is not None:
            if chunk := os.read(self.first, CHUNK):
                return chunk
            self.first = None
        return self.journal.pull()

    def wants(self) -> int | None:
        """The file to wait for until it takes something."""
        return self.agent if self.queue else None

    def push(self) -> None:
        if self.agent is None:
            return
        try:
            del self.queue[: os.write(self.agent, self.queue)]
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def settle(self) -> None:
        """Take up what was told meanwhile; close behind the last of it."""
        self.refill()
        if self.agent is not None and not self.queue and self.journal.over():
            self.close()

    def close(self) -> None:
        if self.agent is not None:
            os.close(self.agent)
        self.agent = None
        self.queue.clear()
