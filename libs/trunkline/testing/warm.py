"""Starts our programs for tests out of one process that has imported everything: a fork takes milliseconds where the imports take seconds.

What runs is `python -m WORDS` itself, in a process of its own with its own environment, folder and output. Tests that are about
starting do not come by here.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Final, NoReturn

from trunkline.runtime import faults
from trunkline.testing.warm_nursery import fork_ahead

HEAD: Final = 8
"""Bytes that come before a wish, and say how long it is: the command, its environment and its folder."""
BLANK: Final = "-" * 300
"""Stands in our command line, which that of whoever is forked is written over."""
NURSERY: Final = "trunkline_cli.nursery"
SERVICES: Final = ("router", "approvals", "sandbox", "relay", "gateway")


@dataclass
class Forked:
    """A process of the warm one, which tells us here how it ended; used as a `subprocess.Popen` is."""

    pid: int
    line: socket.socket
    returncode: int | None = None

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, as of a subprocess. Raises TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self.line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("trunkline", timeout or 0)
            self.returncode = int(_told(self.line) or -signal.SIGKILL)
            self.line.close()
        return self.returncode

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def start(words: Sequence[str], environment: Mapping[str, str], log: IO[bytes], folder: Path | None = None) -> Forked:
    """`python -m WORDS`, its output to the log."""
    here, there = socket.socketpair()
    with there:
        wish = json.dumps([list(words), dict(environment), str(folder or Path.cwd())]).encode()
        socket.send_fds(_warm(), [b"%*d" % (HEAD, len(wish))], [there.fileno(), log.fileno()])
        _warm().sendall(wish)
    here.settimeout(60)
    return Forked(int(_told(here)), here)


def _told(line: socket.socket) -> bytes:
    """One line; nothing if whoever would say it is gone."""
    with line.makefile("rb", buffering=0) as lines:
        return lines.readline()


@cache
def _warm() -> socket.socket:
    """The warm process, which ends when we do."""
    here, there = socket.socketpair()
    with there:
        argv = [sys.executable, "-m", "trunkline.testing.warm", str(there.fileno()), BLANK]
        process = subprocess.Popen(argv, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL)
    atexit.register(process.wait, 10)
    atexit.register(here.close)
    return here


def main() -> None:
    control, (bell, rope) = socket.socket(fileno=int(sys.argv[1])), socket.socketpair()
    for module in (
        "trunkline_cli.commands.up",
        NURSERY,
        "trunkline_cli.commands.serve",
        *(f"trunkline_{name}.wiring" for name in SERVICES),
    ):
        import_module(module)
    gc.freeze()
    rope.setblocking(False)
    signal.set_wakeup_fd(rope.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for those whom we started
    born: dict[int, int] = {}
    while True:
        told, _, _ = select.select([control, bell], [], [])
        if bell in told:
            bell.recv(4096)
        _bury(born)
        if control in told:
            head, descriptors, _, _ = socket.recv_fds(control, HEAD, 2)
            if not head:
                break
            line, log = descriptors
            wish = control.recv(int(head), socket.MSG_WAITALL)
            if (pid := os.fork()) == 0:
                _be(wish, line, log)
            os.close(log)
            os.write(line, b"%d\n" % pid)
            born[pid] = line
    _end(born)


def _bury(born: dict[int, int]) -> None:
    for pid, line in list(born.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with suppress(OSError):  # nobody listens any more
                os.write(line, b"%d\n" % os.waitstatus_to_exitcode(status))
            os.close(line)
            del born[pid]


def _end(born: dict[int, int]) -> None:
    """Whoever wished for them is gone."""
    for pid in born:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 8
    while born and time.monotonic() < deadline:
        time.sleep(0.05)
        _bury(born)


def _be(wish: bytes, line: int, log: int) -> NoReturn:
    """The command, from its beginning to its end."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        words, environment, folder = json.loads(wish)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, 256)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = list(words)
        _prefer(environment.get("PYTHONPATH", ""))
        vars(faults)["_armed"] = environment.get(faults.DIRECTORY)  # read when it is imported
        import_module(NURSERY)._show([sys.executable, "-m", *words])
        if "--split" in words:
            fork_ahead()
        sys.modules.pop(f"{words[0]}.__main__", None)
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # whatever it is, a forked child must never return into the loop that it came from
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _prefer(path: str) -> None:
    """What lies on PYTHONPATH is found first; what its first folder holds, also where another by that name was imported already."""
    folders = [folder for folder in path.split(":") if folder]
    sys.path[:0] = folders
    for name in [name for name in sys.modules if folders and Path(folders[0], name.partition(".")[0]).is_dir()]:
        del sys.modules[name]


if __name__ == "__main__":
    main()
