"""The agent as a process: what is to be run, how it is started and limited; part of the runner."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # a part of Python without type hints, quicker to load than `signal`
import os
import resource

from trunkline_sandbox.adapters.providers.local.inside.lines import CHUNK

NUMBERS = 11


class Job:
    """What is to be run, as the provider wrote it: fields divided by NUL."""

    def __init__(self, fd: int) -> None:
        data = b""
        while chunk := os.read(fd, CHUNK):
            data += chunk
        fields = data.split(b"\0")
        self.number = {name.decode(): float(value) for name, _, value in (field.partition(b"=") for field in fields[:NUMBERS])}
        self.ends_with = bytes.fromhex(fields[NUMBERS].decode())
        self.cwd, self.home, count = fields[NUMBERS + 1 : NUMBERS + 4]
        words = fields[NUMBERS + 4 :]
        self.argv = words[: int(count)]
        self.env = dict(field.split(b"=", 1) for field in words[int(count) :] if field)


def warm() -> None:
    """Load what a start needs, while there is time."""
    try:
        import _ctypes  # noqa: F401
        import fcntl  # noqa: F401
    except ImportError:
        pass


def call_c(name: str, *args: int) -> None:
    """Call a C function without the 6 ms of `ctypes`; a Python without _ctypes does nothing."""
    try:
        import _ctypes

        program = _ctypes.dlopen(None, 2)  # type: ignore[arg-type]  # None is this program itself
        _ctypes.call_function(_ctypes.dlsym(program, name), args)
    except Exception:  # one wall of several: without it the agent is still in its sandbox, and the run goes on
        return


def hide() -> None:
    """Not dumpable: the agent has our uid, and must not open our files through /proc or trace us."""
    call_c("prctl", 4, 0, 0, 0, 0)


def adopt() -> None:
    """Become the parent of whoever is orphaned below us, so that without a pid namespace nobody slips away."""
    call_c("prctl", 36, 1, 0, 0, 0)


def limit(name: int, value: float) -> None:
    hard = resource.getrlimit(name)[1]
    most = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
    resource.setrlimit(name, (most, most))


def become(job: Job, files: tuple[int, int, int], gate: int) -> None:
    """In the child: turn into the agent; never returns."""
    try:
        os.setsid()
        for target, fd in enumerate(files):
            os.dup2(fd, target)
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
        os.read(gate, 1)
        keep_only([])
        limit(resource.RLIMIT_CORE, 0)
        limit(resource.RLIMIT_FSIZE, job.number["file_size"])
        if job.number["processes"]:
            limit(resource.RLIMIT_NPROC, job.number["processes"])
        for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
            _signal.signal(number, _signal.SIG_DFL)
        os.chdir(job.cwd)
        os.execvpe(job.argv[0], job.argv, job.env)
    except BaseException as error:
        os.write(2, b"trunkline: cannot start %s: %s\n" % (job.argv[0], str(error).encode("utf-8", "replace")))
    finally:
        os._exit(127)


def launch(job: Job) -> tuple[int, int, int, int]:
    """Start the agent; returns its pid and our ends of its stdin, stdout and stderr."""
    pipes = [os.pipe() for _ in range(3)]
    gate, opener = os.pipe()
    pid = os.fork()
    if pid == 0:
        become(job, (pipes[0][0], pipes[1][1], pipes[2][1]), gate)
    hide()
    for fd in (pipes[0][0], pipes[1][1], pipes[2][1], gate):
        os.close(fd)
    for fd in (pipes[1][0], pipes[2][0]):
        widen(fd)
    os.write(opener, b"g")
    os.close(opener)
    return pid, pipes[0][1], pipes[1][0], pipes[2][0]


def widen(fd: int) -> None:
    try:
        import fcntl

        fcntl.fcntl(fd, 1031, CHUNK)  # F_SETPIPE_SZ: fewer turns for an agent that prints much
    except (ImportError, OSError):
        pass


def keep_only(fds: list[int]) -> None:
    """Close every other file: what we inherited for the set-up is of no use in here."""
    last = 2
    for fd in sorted(fds):
        os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, 1 << 20)
