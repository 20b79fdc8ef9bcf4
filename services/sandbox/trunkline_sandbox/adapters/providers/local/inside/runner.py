"""The program inside the sandbox: it owns the agent's input and output, numbers every line into the spool and ends what must end."""

# It is started for every task, so its parts import only what costs next to nothing: `json`, `signal` and `socket` cost 10 ms each.
from __future__ import annotations

import _thread
import os
import select
import sys
import time

from trunkline_sandbox.adapters.providers.local.inside.everybody import SIGKILL, children, go_on, halt, members, send
from trunkline_sandbox.adapters.providers.local.inside.journal import BEFORE, SINCE, WISH, Input, Journal
from trunkline_sandbox.adapters.providers.local.inside.lines import CHUNK, ERR, OUT, START, Spool, Stream
from trunkline_sandbox.adapters.providers.local.inside.memory import held, pause
from trunkline_sandbox.adapters.providers.local.inside.program import Job, adopt, keep_only, launch, warm

SIGTERM = 15
MARK = b"TRUNKLINE_SANDBOX_MARK"
"""By this, what is ours is found without a namespace."""
CAUSES = {b"d": "disk", b"m": "memory"}
AHEAD_MS = 60_000
"""For how long a runner that was started ahead waits for its word."""


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
        room = share - held(members(not job.number["open"]), share)
        if room < 0:
            os.write(bell, b"m")
            return
        time.sleep(pause(room, cores, time.monotonic() - began))


class Watch:
    """One run of the agent: the loop, its deadlines and its end."""

    def __init__(self, job: Job, spool: Spool, journal: Journal, fds: tuple[int, int, int | None]) -> None:
        self.job, self.spool, self.journal = job, spool, journal
        first, self.bell, self.oom = fds
        self.kills_before = self.kills()
        spool.append(spool.put(START, b"%.3f %d" % (time.clock_gettime(time.CLOCK_BOOTTIME), os.getpid())))
        self.pid, stdin, out, err = launch(job)
        shape = (int(job.number["line"]), job.ends_with)
        self.streams = {out: Stream(out, OUT, spool, shape), err: Stream(err, ERR, spool, shape)}
        self.input = Input(first, journal, stdin)
        os.set_blocking(self.bell, False)
        self.wall = time.monotonic() + job.number["wall"]
        self.kill_at: float | None = None
        self.cause: str | None = None
        self.status: int | None = None
        self.death = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        self.stopped: list[int] = []
        self.still_since: float | None = None
        self.alarm, alarming = os.pipe()
        _thread.start_new_thread(watch_disk, (job, alarming))
        if job.number["memory"]:
            _thread.start_new_thread(watch_memory, (job, alarming))

    @property
    def alone(self) -> bool:
        return not self.job.number["open"]

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

    def heed(self) -> None:
        """Let everybody stand still, or go on, as it is wished; what was due is due as much later."""
        wished, now = bool(self.journal.number(WISH)), time.monotonic()
        if wished and self.still_since is None:
            self.stopped, self.still_since = halt(self.alone), now
            self.journal.note(SINCE, int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000))
        elif not wished and self.still_since is not None:
            stood, self.still_since = now - self.still_since, None
            self.wall += stood
            self.kill_at = None if self.kill_at is None else self.kill_at + stood
            self.journal.note(BEFORE, self.journal.number(BEFORE) + int(stood * 1000))
            go_on(self.stopped)
            self.journal.note(SINCE, 0)

    def deadlines(self) -> None:
        if self.still_since is not None:
            return
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
        wait = 500.0 if self.still_since is not None else max(1.0, (due - time.monotonic()) * 1000)
        return min(wait, 500.0 if self.death is not None else 20.0)

    def turn(self) -> None:
        """Wait for one thing to happen, and do what it asks."""
        poll = select.poll()
        for fd in (self.death, self.alarm, self.bell, *self.streams):
            if fd is not None:
                poll.register(fd, select.POLLIN)
        writing = self.input.wants()
        if writing is not None:
            poll.register(writing, select.POLLOUT)
        for fd, _ in poll.poll(self.patience()):
            self.answer(fd)
        # Not only when the bell rang: whoever told something may have died before the ring.
        self.input.settle()
        self.heed()
        self.deadlines()
        self.reap()

    def answer(self, fd: int) -> None:
        if fd == self.alarm:
            self.cause = CAUSES[os.read(self.alarm, 1)]
            self.signal(SIGKILL)
            if self.cause == "memory":
                self.end_all()
        elif fd == self.bell:
            os.read(self.bell, CHUNK)
        elif fd == self.input.agent:
            self.input.push()
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
        """Whether the kernel killed for memory since this start: a sandbox that stays had others before."""
        return self.kills() != self.kills_before

    def kills(self) -> bytes:
        """By the group's counter, which was opened for us from outside."""
        words = [] if self.oom is None else os.pread(self.oom, 4096, 0).split()
        return words[words.index(b"oom_kill") + 1] if b"oom_kill" in words else b"0"

    def finish(self, status: int) -> None:
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        if self.cause is None and code != 0 and self.kill_at is None and self.out_of_memory():
            self.cause = "memory"
        os.close(self.bell)  # from here on `tell` finds nobody
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
            send(pid, SIGKILL)

    def sweep(self) -> None:
        """Without a namespace: end whoever the agent left behind."""
        for _ in range(100):
            below = children()
            for pid in below:
                send(pid, SIGKILL)
            self.reap()
            if not below:
                return


def listen(door: str) -> int:
    """An open file that listens: the one that is named (`@7`), or one on that port of the loopback."""
    if door.startswith("@"):
        return int(door[1:])
    import _socket  # most starts have no use for it

    server = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    server.bind(("127.0.0.1", int(door)))
    server.listen(64)
    return server.detach()


def forward(program: str, ways: list[str], env: dict[bytes, bytes]) -> None:
    """Start the ways out, each `door:socket`. Who comes before the forwarder is up waits at the door."""
    parts = [way.partition(":") for way in ways]
    doors = [(listen(door), target) for door, _, target in parts]
    if os.fork() == 0:
        try:
            for fd, _ in doors:
                os.set_inheritable(fd, True)
            keep_only([fd for fd, _ in doors])
            words = [f"{fd}:{target}" for fd, target in doors]
            os.execve(sys.executable, [sys.executable, "-I", "-S", "-E", program, *words], env)
        finally:
            os._exit(127)
    for fd, _ in doors:
        os.close(fd)


def is_wanted(gate: int) -> bool:
    """Wait for the word to begin; it never comes from a service that died, and nobody waits for it for ever."""
    warm()
    poll = select.poll()
    poll.register(gate, select.POLLIN)
    return bool(poll.poll(AHEAD_MS)) and bool(os.read(gate, 1))


def main() -> None:
    """Arguments: job, spool, journal, bell, first stdin, memory events ('-' when none), then the gate of a start made ahead (`+7`), then
    the forwarder and its ways, if any."""
    job_fd, spool_fd, journal, bell, first = (int(word) for word in sys.argv[1:6])
    oom = None if sys.argv[6] == "-" else int(sys.argv[6])
    words = sys.argv[7:]
    gate = int(words.pop(0)) if words and words[0].startswith("+") else None
    listening = [int(way[1:].partition(":")[0]) for way in words[1:] if way.startswith("@")]
    keep_only([fd for fd in (job_fd, spool_fd, journal, bell, first, oom, gate, *listening) if fd is not None])
    if gate is not None:
        if not is_wanted(gate):
            return
        os.close(gate)
    job = Job(job_fd)
    os.close(job_fd)
    if job.number["open"]:
        adopt()
    if words:
        forward(words[0], words[1:], {name: value for name, value in job.env.items() if name == MARK})
    Watch(job, Spool(spool_fd, int(job.number["output"])), Journal(journal), (first, bell, oom)).run()
    os._exit(0)  # Python takes milliseconds to go, and whoever waits for the end of all in here waits for that


if __name__ == "__main__":
    main()
