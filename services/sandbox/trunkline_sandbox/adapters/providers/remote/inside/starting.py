"""One start: lay out what it needs and set the runner going as nobody's child; part of the porter."""

from __future__ import annotations

import os
import stat
import sys
import time

from trunkline_sandbox.adapters.providers.remote.inside.parcel import BadParcel, enter, unpack
from trunkline_sandbox.adapters.providers.remote.inside.runs import PATIENCE, Refusal, Run, opened, take
from trunkline_sandbox.adapters.providers.remote.inside.telling import lay_journal

MOST_ORDER = 1 << 30
_LINKLESS = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def begin(base: str, run: Run, given: tuple[str, str], mark: str) -> None:
    """`given`: the order's parcel and the runner, by their names below `base`. A start that was made is not made again."""
    os.makedirs(run.folder, exist_ok=True)
    with opened(run.spool, os.O_RDWR | os.O_APPEND | os.O_CREAT) as spool:
        if run.pid():
            return
        if os.path.exists(run.stopping):
            raise Refusal("START_STOPPED", "this start was stopped before it began; start under another key")
        if not take(spool):
            raise Refusal("SANDBOX_START_FAILED", "an earlier start of this program neither begins nor ends; stop the sandbox")
        lay_out(base, run, os.path.join(base, given[0]))
        set_going(run, spool, os.path.join(base, given[1]), mark)
    settle(run)
    throw_away(run.order)


def lay_out(base: str, run: Run, parcel: str) -> None:
    """What the program is to find; doing it again changes nothing."""
    throw_away(run.order)
    os.mkdir(run.order, 0o700)
    try:
        with open(parcel, "rb") as source:
            unpack(source, run.order, MOST_ORDER)
    except (BadParcel, OSError) as error:
        raise Refusal("SANDBOX_START_FAILED", f"what was to be started did not arrive: {error}") from error
    for name in ("shown", "tools"):
        target = os.path.join(base, name, run.name)
        throw_away(target)
        if os.path.isdir(os.path.join(run.order, name)):
            os.rename(os.path.join(run.order, name), target)
    plant(os.path.join(run.order, "home"), os.path.join(base, "home"))
    lay_journal(run, os.path.exists(os.path.join(run.order, "entries_follow")))


def plant(source: str, home: str) -> None:
    """Move the files below `source` into the home, which the agent may have filled with links: none is followed."""
    top = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder, _, files in os.walk(source):
            parts = [os.fsencode(part) for part in os.path.relpath(folder, source).split("/") if part != "."]
            for name in files:
                plant_one(top, parts, os.path.join(folder, name))
    except OSError as error:
        raise Refusal("BAD_HOME_FILE", f"it cannot be written into the agent's home: {error.strerror}") from error
    finally:
        os.close(top)


def plant_one(top: int, parts: list[bytes], path: str) -> None:
    for depth in range(len(parts)):
        make_folder(top, parts[:depth], parts[depth])
    folder = enter(top, parts)
    name = os.path.basename(path)
    try:
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            pass
        with open(path, "rb") as data, open(os.open(name, os.O_WRONLY | _LINKLESS, 0o600, dir_fd=folder), "wb") as file:
            file.write(data.read())
    finally:
        os.close(folder)


def make_folder(top: int, parents: list[bytes], name: bytes) -> None:
    folder = enter(top, parents)
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except FileExistsError:
        return
    finally:
        os.close(folder)


def set_going(run: Run, spool: int, runner: str, mark: str) -> None:
    """Fork twice, so that nobody waits for it and no end of a call ends it."""
    job, stdin = (os.open(os.path.join(run.order, name), os.O_RDONLY) for name in ("job", "stdin"))
    journal, bell = os.open(run.journal, os.O_RDWR), os.open(run.bell, os.O_RDWR)
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        for fd in (job, stdin, journal, bell):
            os.close(fd)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            turn_into(run, runner, mark, (job, spool, journal, bell, stdin))
    finally:
        os._exit(0)


def turn_into(run: Run, runner: str, mark: str, files: tuple[int, ...]) -> None:
    nothing, log = os.open("/dev/null", os.O_RDWR), os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for target, fd in enumerate((nothing, log, log)):
        os.dup2(fd, target)
    for fd in files:
        os.set_inheritable(fd, True)
    words = [sys.executable, "-I", "-S", "-E", runner, *(str(fd) for fd in files), "-"]
    name, _, value = mark.partition("=")
    os.execve(sys.executable, words, {name: value})


def settle(run: Run) -> None:
    """Return when the runner has begun."""
    end = time.monotonic() + PATIENCE
    while not run.pid():
        if not run.runs() and not run.pid():
            with open(run.log, "rb") as log:
                said = log.read()[-500:].decode("utf-8", "replace").strip()
            raise Refusal("SANDBOX_START_FAILED", f"the program did not start: {said or 'it ended at once'}")
        if time.monotonic() > end:
            raise Refusal("SANDBOX_START_FAILED", f"the program did not start within {PATIENCE:.0f} s")
        time.sleep(0.002)


def throw_away(path: str) -> None:
    """Whatever is there, however it looks; nothing there is fine."""
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.lexists(path):
        words = "'" + path.replace("'", "'\\''") + "'"
        os.system(f"chmod -R u+rwX {words}; rm -rf {words}")


def is_tree(path: str) -> bool:
    """A folder and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
