"""Child processes that cannot outlive us: started on a tether, ended in two steps, their output read to the end."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trunkline_cli.plain import plain

TETHER = Path(__file__).with_name("tether.py")
LONGEST_LINE = 64 << 10

Write = Callable[[str], None]


async def spawn(argv: Sequence[str], env: Mapping[str, str], *, out: int = DEVNULL, inherit: tuple[int, ...] = ()) -> Process:
    """Start `argv` in a session of its own: a Ctrl-C reaches us only, and we decide who ends when. `out`: DEVNULL, PIPE or a descriptor."""
    words = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *argv]
    return await asyncio.create_subprocess_exec(
        *words, stdin=DEVNULL, stdout=out, stderr=out, env=env, pass_fds=inherit, start_new_session=True
    )


async def end(process: Process, patience: float) -> None:
    """SIGTERM, then SIGKILL after `patience` seconds. May be repeated."""
    if process.returncode is not None:
        return
    try:
        process.terminate()
        async with asyncio.timeout(patience):
            await process.wait()
    except ProcessLookupError:
        pass  # it ended meanwhile
    except TimeoutError:
        kill(process)
        await process.wait()


async def end_when_told(process: Process, stop: asyncio.Event, patience: float) -> None:
    """The same, once `stop` is set."""
    await stop.wait()
    await end(process, patience)


def kill(process: Process) -> None:
    """SIGKILL at once, without waiting."""
    if process.returncode is None:
        try:
            process.kill()
        except ProcessLookupError:
            pass  # it ended meanwhile


def ending(code: int | None) -> str:
    """`signal 9`, `exit code 1`."""
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def pass_all_on(group: asyncio.TaskGroup, process: Process, name: str, write: Write) -> None:
    """Both of its outputs, to their ends."""
    for reader in (process.stdout, process.stderr):
        if reader is not None:
            group.create_task(pass_on(reader, name, write))


async def pass_on(reader: asyncio.StreamReader, name: str, write: Write) -> None:
    """Every line of a child, with its name in front; a line without end is handed on in pieces."""
    rest = b""
    while chunk := await reader.read(LONGEST_LINE):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            write(f"{name:>9} | {_one(line)}")
        if len(rest) >= LONGEST_LINE:
            write(f"{name:>9} | {_one(rest)}")
            rest = b""
    if rest:
        write(f"{name:>9} | {_one(rest)}")


def _one(line: bytes) -> str:
    """A line of a child, which may tell what an agent said."""
    return plain(line.decode(errors="replace")).replace("\n", " ")
