"""Imports all services once and forks a warm one off for each that `up --split` asks for: `python -m trunkline_cli.nursery DESCRIPTOR`.

One thread, no loop, and nothing open but what is told here. No secret comes by: a child reads its environment itself, off its own line.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from trunkline_cli.__main__ import main as trunkline
from trunkline_cli.services import NAMES
from trunkline_cli.tether import tie

READY_FD: Final = "TRUNKLINE_READY_FD"
"""The variable that tells a service where to say that it is ready."""
WISH: Final = 32
"""Bytes of every wish: `serve CHILD NAME`, which brings the child's line and its output along, or `signal CHILD NUMBER`."""
BLANK: Final = "-" * 16
"""Stands in our command line, which a child's, being longer, is written over."""


class Child(NamedTuple):
    pid: int
    line: int
    """The end of a socket pair on which it tells that it is ready, and we tell its exit code."""


def main() -> None:
    control, (bell, rope) = socket.socket(fileno=int(sys.argv[1])), socket.socketpair()
    _warm_up()
    rope.setblocking(False)
    signal.set_wakeup_fd(rope.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    control.send(b"\n")
    born: dict[str, Child] = {}
    while True:
        told, _, _ = select.select([control, bell], [], [])
        if bell in told:
            bell.recv(4096)
            _bury(born)
        if control in told and not _grant(control, born):
            break
    for child in born.values():  # whoever asked is gone, and here the kernel does not tie children to their parents
        os.kill(child.pid, signal.SIGKILL)


def _warm_up() -> None:
    """What cannot be imported is left to the child, which says why."""
    for module in ("trunkline_cli.commands.serve", *(f"trunkline_{name}.wiring" for name in NAMES)):
        with suppress(Exception):
            import_module(module)
    gc.freeze()


def _bury(born: dict[str, Child]) -> None:
    """Only here is a child's number given back to the system, so that a signal reaches nobody else."""
    for name, child in list(born.items()):
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid:
            with suppress(OSError):  # nobody listens any more
                os.write(child.line, b"%d\n" % os.waitstatus_to_exitcode(status))
            os.close(child.line)
            del born[name]


def _grant(control: socket.socket, born: dict[str, Child]) -> bool:
    """Do as one wish says; False when there will be no more."""
    wish, descriptors, _, _ = socket.recv_fds(control, WISH, 2)
    if not wish:
        return False
    word, child, what = wish.decode().split()
    if word == "signal":
        if child in born:
            os.kill(born[child].pid, int(what))
    elif len(descriptors) == 2:  # else there are too many open: it is asked again
        born.update(_born(child, what, *descriptors))
    return True


def _born(child: str, name: str, line: int, out: int) -> dict[str, Child]:
    """Nobody when the system has no room for one; the end of its line tells."""
    mother = os.getpid()
    try:
        if (pid := os.fork()) == 0:
            _be(name, line, out, mother)
        return {child: Child(pid, line)}
    except OSError:
        traceback.print_exc()
        os.close(line)
        return {}
    finally:
        os.close(out)


def _be(name: str, line: int, out: int, mother: int) -> NoReturn:
    """`trunkline serve NAME`, from its beginning to its end."""
    code = 1
    try:
        _leave(mother, line, out)
        _show([sys.executable, "-m", "trunkline_cli", "serve", name])
        with open(line, "rb", closefd=False) as told:
            environment = json.load(told)
        os.environ.clear()
        os.environ.update({**environment, READY_FD: str(line)})
        code = trunkline(["serve", name])
    except BaseException:  # whatever it is, a forked child must never return into the nursery
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _leave(mother: int, line: int, out: int) -> None:
    """Nothing of the nursery stays but what was imported; the kernel ends us with it."""
    os.setsid()
    if not tie(mother):
        os._exit(1)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.set_inheritable(line, False)
    for number in (1, 2):
        os.dup2(out, number)
    for number in {int(name) for name in os.listdir("/dev/fd")} - {0, 1, 2, line}:
        with suppress(OSError):  # the list's own
            os.close(number)


def _show(argv: list[str]) -> None:
    """Have `ps` show this command line: it is written over ours, if there is room, in the way that the kernel knows from setproctitle(3):
    words with blanks between, and another end than a zero."""
    with suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, room = int(fields[45]), int(fields[46]) - int(fields[45])
        text = " ".join(argv).encode()
        if len(text) + 2 <= room:
            ctypes.memmove(begin, text.ljust(room - 1, b"\0") + b".", room)


if __name__ == "__main__":
    main()
