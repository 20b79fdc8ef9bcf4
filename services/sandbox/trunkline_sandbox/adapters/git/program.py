"""Running one program to its end: a fresh environment, a deadline, bounded output, and nothing left of it afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
    process = await _start(call)
    try:
        async with asyncio.timeout(call.seconds):
            return await _converse(process, call)
    except TimeoutError as error:
        name = " ".join(call.argv[:2])
        text = f"`{name}` did not end within {call.seconds:g} s and was stopped. Try again, or allow more time."
        raise Overdue(text, code="GIT_OVERDUE") from error
    finally:
        await _end(process)


async def _start(call: Call) -> Process:
    stdin = PIPE if call.stdin else DEVNULL
    try:
        return await asyncio.create_subprocess_exec(
            *call.argv, stdin=stdin, stdout=PIPE, stderr=PIPE, cwd=call.cwd, env=dict(call.env), start_new_session=True
        )
    except FileNotFoundError as error:
        if call.cwd and not call.cwd.is_dir():
            raise Unavailable(f"{call.cwd.name} is not there any more; the job has to be tried again.", code="TREE_MISSING") from error
        raise Unavailable(f"{call.argv[0]} is not installed here; install it, then try again.", code="PROGRAM_MISSING") from error


async def _converse(process: Process, call: Call) -> Answer:
    assert process.stdout and process.stderr
    async with asyncio.TaskGroup() as group:
        group.create_task(_feed(process, call.stdin))
        watch = group.create_task(_halted(process, call.unless))
        tail = group.create_task(_tail(process.stderr))
        out = await _head(process.stdout, call.keep)
        if len(out) > call.keep:
            await _end(process)
    return Answer(await process.wait(), out[: call.keep], tail.result(), len(out) > call.keep, watch.result())


async def _feed(process: Process, data: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _halted(process: Process, unless: Callable[[], bool] | None) -> bool:
    if unless is None:
        return False
    while process.returncode is None:
        if unless():
            await _end(process)
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL_S):
                await process.wait()
    return False


async def _head(stream: asyncio.StreamReader, keep: int) -> bytes:
    """The first bytes, one read more than `keep` at most."""
    found = bytearray()
    while len(found) <= keep and (chunk := await stream.read(_CHUNK)):
        found += chunk
    return bytes(found)


async def _tail(stream: asyncio.StreamReader) -> str:
    found = b""
    while chunk := await stream.read(_CHUNK):
        found = (found + chunk)[-_TAIL:]
    return found.decode("utf-8", "replace")


async def _end(process: Process) -> None:
    """First the asking way, because a git that is asked takes its lock files with it."""
    if process.returncode is not None:
        return
    try:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await process.wait()
    finally:
        _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
