"""The nursery as `up` sees it: something to be kept alive, and asked for children."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from trunkline_cli import children
from trunkline_cli.children import Write
from trunkline_cli.nursery import BLANK, WISH
from trunkline_cli.supervisor import Switch

PATIENCE: Final = 3.5
"""Seconds that a child has between SIGTERM and SIGKILL."""
AT_ONCE: Final = 0.5
"""And the nursery, which has nothing to finish."""


@dataclass(frozen=True, slots=True)
class Child:
    """A service that was forked off for us. Whether it lives, only its parent knows: signals go by way of the nursery."""

    number: int
    wishes: socket.socket
    line: asyncio.StreamReader
    out: asyncio.StreamReader

    async def ended(self, ready: asyncio.Event) -> int | None:
        """Its exit code, as of a subprocess; None when the nursery ended, and it with it. Sets `ready` when it tells so."""
        while told := await self.line.readline():
            if told != b"\n":
                return int(told)
            ready.set()
        return None

    async def end_when_told(self, stop: asyncio.Event) -> None:
        """SIGTERM, then SIGKILL after some patience."""
        await stop.wait()
        self.send(signal.SIGTERM)
        await asyncio.sleep(PATIENCE)
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Nothing happens where it has ended."""
        self.wishes.send(_wish("signal", self.number, str(number.value)))


@dataclass(frozen=True, slots=True)
class Nursery:
    """Wishes wait for it in a socket that outlives it, so one may be uttered while it is started again."""

    env: Mapping[str, str]
    write: Write
    _pair: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    _numbers: count[int] = field(default_factory=count)

    async def __call__(self, switch: Switch) -> str:
        """One life of it."""
        here, there = self._pair
        here.setblocking(False)
        argv = [sys.executable, "-m", "trunkline_cli.nursery", str(there.fileno()), BLANK]
        process = await children.spawn(argv, self.env, out=PIPE, inherit=(there.fileno(),))
        try:
            async with asyncio.TaskGroup() as group:
                children.pass_all_on(group, process, "nursery", self.write)
                telling = group.create_task(_tell_ready(here, switch.ready))
                ending = group.create_task(children.end_when_told(process, switch.stop, AT_ONCE))
                await process.wait()
                for task in (telling, ending):
                    task.cancel()
        finally:
            children.kill(process)
        return children.ending(process.returncode)

    @asynccontextmanager
    async def child(self, name: str, env: Mapping[str, str]) -> AsyncIterator[Child]:
        """A service of this name in this environment; killed at the end, if it has not ended by itself."""
        number, wishes = next(self._numbers), self._pair[0]
        (line_here, line_there), (out_here, out_there) = socket.socketpair(), socket.socketpair()
        with line_there, out_there:
            line, told = await asyncio.open_unix_connection(sock=line_here)
            out, mute = await asyncio.open_unix_connection(sock=out_here)
            socket.send_fds(wishes, [_wish("serve", number, name)], [line_there.fileno(), out_there.fileno()])
        child = Child(number, wishes, line, out)
        try:
            told.write(json.dumps(dict(env)).encode())
            told.write_eof()
            yield child
        finally:
            with suppress(OSError):  # it hears nothing, and is about to be ended itself
                child.send(signal.SIGKILL)
            told.close()
            mute.close()


def _wish(word: str, number: int, what: str) -> bytes:
    return f"{word} {number} {what}".ljust(WISH).encode()


async def _tell_ready(control: socket.socket, ready: asyncio.Event) -> None:
    """The nursery writes one byte when it has imported everything."""
    await asyncio.get_running_loop().sock_recv(control, 1)
    ready.set()
