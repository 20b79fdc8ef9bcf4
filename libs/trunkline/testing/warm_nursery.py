"""The nursery of a warm `up --split`: forked off before `up` begins, let go when `up` starts it. One that is started again is a new one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, NoReturn

MODULE: Final = "trunkline_cli.nursery"


@dataclass
class Ahead:
    """As an `asyncio.subprocess.Process`, for what `up` asks of one."""

    pid: int
    line: socket.socket
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    returncode: int | None = None
    ended: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_task(self._end())

    async def _end(self) -> None:
        self.line.setblocking(False)
        await asyncio.get_running_loop().sock_recv(self.line, 1)  # its end is closed when the nursery ends
        _, status = await asyncio.to_thread(os.waitpid, self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)

    async def wait(self) -> int | None:
        await asyncio.shield(self.ended)
        return self.returncode

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def fork_ahead() -> None:
    """From here on the first nursery that is spawned in this process is the one that waits already."""
    children: Any = import_module("trunkline_cli.children")
    spawn, (here, there) = children.spawn, socket.socketpair()
    mother = os.getpid()
    if (pid := os.fork()) == 0:
        here.close()
        _be(there, mother)
    there.close()
    children.spawn = _first(pid, here, spawn)


def _first(pid: int, line: socket.socket, spawn: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    waiting = [pid]

    async def spawned(argv: Sequence[str], env: Mapping[str, str], **how: Any) -> Any:
        if MODULE not in argv or not waiting:
            return await spawn(argv, env, **how)
        outs = [os.pipe(), os.pipe()]
        readers = [await _reader(read) for read, _ in outs]
        socket.send_fds(line, [json.dumps(dict(env)).encode()], [*how["inherit"], *(write for _, write in outs)])
        line.shutdown(socket.SHUT_WR)
        for _, write in outs:
            os.close(write)
        return Ahead(waiting.pop(), line, readers[0], readers[1])

    return spawned


async def _reader(pipe: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", 0))
    return reader


def _be(line: socket.socket, mother: int) -> NoReturn:
    """A nursery, from the moment that it is wanted; nothing if it never is."""
    try:
        wish, (control, out, err), _, _ = socket.recv_fds(line, 1 << 16, 3)
        while more := line.recv(1 << 16):
            wish += more
        os.setsid()
        if import_module("trunkline_cli.tether").tie(mother):
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.environ.clear()
            os.environ.update(json.loads(wish))
            nursery = import_module(MODULE)
            sys.argv = [MODULE, str(control)]
            nursery._show([sys.executable, "-m", MODULE, str(control)])
            nursery.main()
    except BaseException:  # whatever it is, a forked child must never return into what it came from
        traceback.print_exc()
    os._exit(0)
