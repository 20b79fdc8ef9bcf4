"""Running one program to its end: a fresh environment, a deadline, bounded output, and nothing left of it afterwards.

It runs in a thread: our event loop forks to start a process, which costs a large service three times what `subprocess` pays.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired

from trunkline.contracts.errors import Overdue, Unavailable

_CHUNK = 1 << 16
_TAIL = 8 << 10
_POLL_S = 0.1
_GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Call:
    """A program to run."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None
    stdin: bytes = b""
    keep: int = 1 << 20
    """Bytes of standard output that are kept; at more the program is ended."""
    seconds: float = 600.0
    unless: Callable[[], bool] | None = None
    """Asked ten times a second; when it says true the program is ended."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How it ended. `err` is the end of standard error."""

    code: int
    out: bytes = b""
    err: str = field(default="", repr=False)
    cut: bool = False
    """Ended because there was more output than is kept."""
    halted: bool = False
    """Ended because `unless` said so."""

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "replace").strip()


async def run(call: Call) -> Answer:
    """Run it. Raises Overdue at the deadline and Unavailable when the program is not there; either way nothing of it is left."""
    unwanted = threading.Event()
    running = asyncio.get_running_loop().run_in_executor(None, _run, call, unwanted)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        unwanted.set()
        await asyncio.wait({running}, timeout=_GRACE_S + 1)
        raise


def _run(call: Call, unwanted: threading.Event) -> Answer:
    process = _start(call)
    try:
        return _Talk(process, call, unwanted).answer()
    except TimeoutError as error:
        name = " ".join(call.argv[:2])
        text = f"`{name}` did not end within {call.seconds:g} s and was stopped. Try again, or allow more time."
        raise Overdue(text, code="GIT_OVERDUE") from error
    finally:
        _end(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _start(call: Call) -> Popen[bytes]:
    stdin = PIPE if call.stdin else DEVNULL
    try:
        return Popen(call.argv, bufsize=0, stdin=stdin, stdout=PIPE, stderr=PIPE, cwd=call.cwd, env=dict(call.env), start_new_session=True)
    except FileNotFoundError as error:
        if call.cwd and not call.cwd.is_dir():
            raise Unavailable(f"{call.cwd.name} is not there any more; the job has to be tried again.", code="TREE_MISSING") from error
        raise Unavailable(f"{call.argv[0]} is not installed here; install it, then try again.", code="PROGRAM_MISSING") from error


class _Talk:
    """Feeds a process, listens to it, and sees to its limits."""

    def __init__(self, process: Popen[bytes], call: Call, unwanted: threading.Event) -> None:
        self._process = process
        self._call = call
        self._unwanted = unwanted
        self._deadline = time.monotonic() + call.seconds
        self._input = memoryview(call.stdin)
        self._out = bytearray()
        self._err = b""

    def answer(self) -> Answer:
        """Raises TimeoutError at the deadline."""
        with selectors.DefaultSelector() as pipes:
            self._register(pipes)
            while pipes.get_map() and not self._over():
                for key, _ in pipes.select(_POLL_S):
                    self._serve(pipes, key)
        cut, halted = self._cut(), self._halted()
        if cut or halted or self._unwanted.is_set():
            _end(self._process)
        return Answer(self._wait(), bytes(self._out[: self._call.keep]), self._err.decode("utf-8", "replace"), cut, halted)

    def _register(self, pipes: selectors.BaseSelector) -> None:
        assert self._process.stdout and self._process.stderr
        for pipe, serve in ((self._process.stdout, self._hear), (self._process.stderr, self._note)):
            pipes.register(pipe, selectors.EVENT_READ, serve)
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
            pipes.register(self._process.stdin, selectors.EVENT_WRITE, self._feed)

    def _serve(self, pipes: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        if not key.data(key.fd):
            pipes.unregister(key.fileobj)
            if key.fileobj is self._process.stdin:
                self._process.stdin.close()

    def _hear(self, fd: int) -> bool:
        chunk = os.read(fd, _CHUNK)
        self._out += chunk
        return bool(chunk)

    def _note(self, fd: int) -> bool:
        chunk = os.read(fd, _CHUNK)
        self._err = (self._err + chunk)[-_TAIL:]
        return bool(chunk)

    def _feed(self, fd: int) -> bool:
        try:
            self._input = self._input[os.write(fd, self._input[:_CHUNK]) :]
        except BrokenPipeError:
            return False
        return bool(self._input)

    def _over(self) -> bool:
        if time.monotonic() > self._deadline:
            raise TimeoutError
        return self._unwanted.is_set() or self._cut() or self._halted()

    def _cut(self) -> bool:
        return len(self._out) > self._call.keep

    def _halted(self) -> bool:
        return self._process.poll() is None and self._call.unless is not None and self._call.unless()

    def _wait(self) -> int:
        try:
            return self._process.wait(max(self._deadline - time.monotonic(), 0))
        except TimeoutExpired as error:
            raise TimeoutError from error


def _end(process: Popen[bytes]) -> None:
    """First the asking way, because a git that is asked takes its lock files with it."""
    if process.poll() is not None:
        return
    try:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutExpired):
            process.wait(_GRACE_S)
    finally:
        _signal(process.pid, signal.SIGKILL)
    process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
