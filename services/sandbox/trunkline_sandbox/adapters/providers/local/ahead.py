"""A start made ahead: walls and runner stand, and wait for the word that the program may begin; without it nothing ever began."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from dataclasses import dataclass, field

from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.adapters.providers.local.places import Run
from trunkline_sandbox.ports import Launch


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the word is given by. The open files are ours; who dies closes them, and so sends away who waits."""

    run: Run
    built_in: tuple[object, ...]
    """What of a launch cannot be changed any more."""
    job: int
    stdin: int
    gate: int
    files: Handed = field(repr=False)

    def fits(self, run: Run, launch: Launch) -> bool:
        return run == self.run and built_in(launch) == self.built_in

    def stands(self) -> bool:
        """Whether the word would be heard; somebody else may have sent away who waited for it, and started the same himself."""
        if not self.files.fds:
            return False
        poll = select.poll()
        poll.register(self.gate, 0)
        return not poll.poll(0)

    def tell(self, job: bytes, stdin: bytes) -> None:
        """What is to be run, then that it may be."""
        for file, data in ((self.job, job), (self.stdin, stdin)):
            _fill(file, data)
        with suppress(BrokenPipeError):
            os.write(self.gate, b"g")

    def close(self) -> None:
        """Who waits still is sent away. May be repeated."""
        self.files.close()


def built_in(launch: Launch) -> tuple[object, ...]:
    """What walls and runner are told before the word."""
    return dict(launch.tools), dict(launch.sockets), dict(launch.forwards), launch.keep_stdin


def _fill(file: int, data: bytes) -> None:
    """From its beginning, without moving the place from where the other side reads."""
    left, at = memoryview(data), 0
    while left:
        written = os.pwrite(file, left, at)
        left, at = left[written:], at + written
