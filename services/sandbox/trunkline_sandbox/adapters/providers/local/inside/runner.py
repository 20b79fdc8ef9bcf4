"""The program inside the sandbox: it owns the agent's input and output, numbers every line into the spool and ends what must end."""

# It is started for every task, so its parts import only what costs next to nothing: `json`, `signal` and `socket` cost 10 ms each.
from __future__ import annotations

import _thread
import os
import select
import sys
import time

from trunkline_sandbox.adapters.providers.local.inside.lines import ERR, OUT, START, Spool, Stream
from trunkline_sandbox.adapters.providers.local.inside.memory import held, pause
from trunkline_sandbox.adapters.providers.local.inside.program import Input, Job, adopt, keep_only, launch

SIGTERM, SIGKILL = 15, 9
CAUSES = {b"d": "disk", b"m": "memory"}


def usage(paths: tuple[bytes, ...], stop: float) -> int:
    """Bytes on disk below `paths`; gives up once it is more than `stop`."""
    total, todo = 0, list(paths)
    while todo and total <= stop:
        size, below = weigh(todo.pop())
        total += size
        todo += below
    return total


def weigh(path: bytes) -> tuple[int, list[bytes]]:
    """Bytes on disk of what lies in one directory, and the directories in it."""
    size, below = 0, []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                size += entry.stat(follow_symlinks=False).st_blocks * 512
                below += [entry.path] if entry.is_dir(follow_symlinks=False) else []
    except OSError:
        return size, below
    return size, below


def watch_disk(job: Job, bell: int) -> None:
    """A thread: ring when the sandbox is over its share, or when it is large and the disk nearly full."""
    paths, share, reserve = (job.cwd, job.home), job.number["disk"], job.number["reserve"]
    while True:
        began = time.monotonic()
        used = usage(paths, share)
        state = os.statvfs(job.cwd)
        if used > share or (state.f_bavail * state.f_frsize < reserve and used > 64 << 20):
            os.write(bell, b"d")
            return
        time.sleep(max(0.5, 10 * (time.monotonic() - began)))


def watch_memory(job: Job, bell: int) -> None:
    """A thread: ring when all processes of the sandbox together hold more than it may."""
    share, cores = job.number["memory"], job.number["cores"]
    while True:
        began = time.monotonic()
        room = share - held(members(job), share)
        if room < 0:
            os.write(bell, b"m")
            return
        time.sleep(pause(room, cores, time.monotonic() - began))


def members(job: Job) -> list[int]:
    """Everybody in the sandbox; without a namespace, everybody below us."""
    return children() if job.number["open"] else [int(name) for name in os.listdir("/proc") if name.isdigit()]


def parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def children() -> list[int]:
    """Everybody below us, by their parents."""
    parents = {int(name): parent_of(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        parent = todo.pop()
        below = [pid for pid, its in parents.items() if its == parent]
        found += below
        todo += below
    return found


class Watch:
    """One run of the agent: the loop, its deadlines and its end."""

    def __init__(self, job: Job, spool: Spool, fds: tuple[int, int, int | None]) -> None:
        self.job, self.spool, self.oom = job, spool, fds[2]
        spool.append(spool.put(START, b"%.3f %d" % (time.clock_gettime(time.CLOCK_BOOTTIME), os.getpid())))
        self.pid, stdin, out, err = launch(job)
        shape = (int(job.number["line"]), job.ends_with)
        self.streams = {out: Stream(out, OUT, spool, shape), err: Stream(err, ERR, spool, shape)}
        self.input = Input(fds[1], fds[0], stdin, bool(job.number["keep_stdin"]))
        self.wall = time.monotonic() + job.number["wall"]
        self.kill_at: float | None = None
        self.cause: str | None = None
        self.status: int | None = None
        self.death = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        self.bell, ring = os.pipe()
        _thread.start_new_thread(watch_disk, (job, ring))
        if job.number["memory"]:
            _thread.start_new_thread(watch_memory, (job, ring))

    def signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except OSError:
            pass

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.status = status

    def deadlines(self) -> None:
        now = time.monotonic()
        if now > self.wall and self.cause is None:
            self.cause, self.kill_at = "wall", now + 1.0
            self.signal(SIGTERM)
        if self.kill_at is None and any(stream.ended for stream in self.streams.values()):
            self.kill_at = now + self.job.number["grace"]
        if self.kill_at is not None and now > self.kill_at:
            self.signal(SIGKILL)

    def patience(self) -> float:
        """Milliseconds until something is due."""
        due = self.wall if self.kill_at is None else self.kill_at
        wait = max(1.0, (due - time.monotonic()) * 1000)
        return min(wait, 500.0 if self.death is not None else 20.0)

    def turn(self) -> None:
        """Wait for one thing to happen, and do what it asks."""
        poll = select.poll()
        for fd in (self.death, self.bell, *self.streams):
            if fd is not None:
                poll.register(fd, select.POLLIN)
        reading, writing = self.input.wants()
        if reading is not None:
            poll.register(reading, select.POLLIN)
        if writing is not None:
            poll.register(writing, select.POLLOUT)
        for fd, _ in poll.poll(self.patience()):
            self.answer(fd)
        self.input.settle()
        self.deadlines()
        self.reap()

    def answer(self, fd: int) -> None:
        if fd == self.bell:
            self.cause = CAUSES[os.read(self.bell, 1)]
            self.signal(SIGKILL)
            if self.cause == "memory":
                self.end_all()
        elif fd == self.input.agent:
            self.input.push()
        elif fd == self.input.pipe:
            self.input.receive()
        elif fd in self.streams and self.streams[fd].pull() is None:
            self.streams.pop(fd).close()

    def drain(self) -> None:
        """The agent is dead: take what it had written, but wait for no child that goes on writing."""
        end = time.monotonic() + 1.0
        for stream in self.streams.values():
            while stream.pull() and time.monotonic() < end:
                pass
            stream.close()

    def out_of_memory(self) -> bool:
        """Whether the kernel killed for memory; the group's counter was opened for us from outside."""
        if self.oom is None:
            return False
        words = os.pread(self.oom, 4096, 0).split()
        return b"oom_kill" in words and words[words.index(b"oom_kill") + 1] != b"0"

    def finish(self, status: int) -> None:
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        if self.cause is None and code != 0 and self.kill_at is None and self.out_of_memory():
            self.cause = "memory"
        os.close(self.input.pipe)  # from here on `send` finds nobody
        self.spool.end(code, number, self.cause)

    def run(self) -> None:
        while (status := self.status) is None:
            self.turn()
        self.drain()
        if self.job.number["open"]:
            self.sweep()
        self.finish(status)

    def end_all(self) -> None:
        """At once, and not only with the agent's end: each of them may be the one that grows."""
        if os.getpid() == 1:
            os.kill(-1, SIGKILL)
            return
        for pid in children():
            end(pid)

    def sweep(self) -> None:
        """Without a namespace: end whoever the agent left behind."""
        for _ in range(100):
            below = children()
            for pid in below:
                end(pid)
            self.reap()
            if not below:
                return


def end(pid: int) -> None:
    try:
        os.kill(pid, SIGKILL)
    except OSError:
        return


def forward(python: str, program: str) -> None:
    """Start the way out: it listens on the loopback of this empty network and speaks to the proxy's socket outside."""
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(done, 3)
        keep_only([3])
        os.execv(python, [python, "-I", "-S", "-E", program, "3"])
    os.close(done)
    os.read(ready, 1)
    os.close(ready)


def main() -> None:
    """Arguments: job, spool, stdin pipe, first stdin, memory events ('-' when none), then the forwarder when there is a way out."""
    job_fd, spool_fd, pipe, first = (int(word) for word in sys.argv[1:5])
    oom = None if sys.argv[5] == "-" else int(sys.argv[5])
    keep_only([fd for fd in (job_fd, spool_fd, pipe, first, oom) if fd is not None])
    job = Job(job_fd)
    os.close(job_fd)
    if job.number["open"]:
        adopt()
    if len(sys.argv) > 6:
        forward(sys.executable, sys.argv[6])
    Watch(job, Spool(spool_fd, int(job.number["output"])), (pipe, first, oom)).run()


if __name__ == "__main__":
    main()
