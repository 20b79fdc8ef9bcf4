"""The program inside the sandbox: it owns the agent's stdin, stdout and stderr, numbers every line into the spool and ends what must end."""

# It is started for every task, so it imports only what costs next to nothing: `json`, `signal` and `socket` cost 10 ms each.
import _signal
import os
import resource
import select
import sys
import time

CHUNK = 1 << 18
SIGTERM, SIGKILL = 15, 9
QUEUED_INPUT = 1 << 20
START, OUT, ERR, EXIT = b"S", b"O", b"E", b"X"


class Job:
    """What is to be run, as the provider wrote it: fields divided by NUL."""

    def __init__(self, fd):
        data = b""
        while chunk := os.read(fd, CHUNK):
            data += chunk
        fields = data.split(b"\0")
        self.number = {name.decode(): float(value) for name, _, value in (field.partition(b"=") for field in fields[:10])}
        self.ends_with = bytes.fromhex(fields[10].decode())
        self.cwd, self.home = fields[11], fields[12]
        count = int(fields[13])
        self.argv = fields[14 : 14 + count]
        self.env = dict(field.split(b"=", 1) for field in fields[14 + count :] if field)


class Spool:
    """The numbered lines; what goes beyond the limit is counted and dropped."""

    def __init__(self, fd, limit):
        self.fd, self.room, self.lines, self.dropped = fd, limit, 0, 0

    def put(self, kind, data, number=0, cut=0):
        head = kind + b"\0\0\0" + len(data).to_bytes(4, "little") + number.to_bytes(8, "little") + cut.to_bytes(8, "little")
        return head + data

    def append(self, frames):
        """Write whole frames or none: a full disk must not leave half a frame behind."""
        whole = os.fstat(self.fd).st_size
        data = memoryview(frames)
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError:
            os.ftruncate(self.fd, whole)
            return False
        return True

    def keep(self, kind, lines, cut=0):
        frames, size, first = [], 0, self.lines
        for line in lines:
            size += len(line)
            self.lines += 1
            frames.append(self.put(kind, line, self.lines, cut))
        if frames and not self.append(b"".join(frames)):
            self.lines, self.room = first, 0
            self.dropped += size
        self.room -= size

    def end(self, code, signal, cause):
        words = ["null" if value is None else str(value) for value in (code, signal)]
        why = "null" if cause is None else '"%s"' % cause
        text = '{"code":%s,"signal":%s,"cause":%s,"dropped":%d}' % (*words, why, self.dropped)
        for _ in range(50):
            if self.append(self.put(EXIT, text.encode())):
                return
            time.sleep(0.1)


class Stream:
    """One of the agent's outputs: bytes in, lines out."""

    def __init__(self, fd, kind, spool, job):
        self.fd, self.kind, self.spool = fd, kind, spool
        self.longest, self.needle = int(job.number["line"]), job.ends_with
        self.rest, self.cut, self.ended = b"", 0, False
        os.set_blocking(fd, False)

    def pull(self):
        """Take what is there: True when there was something, None at the end of the stream."""
        try:
            chunk = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            return None
        self.feed(chunk)
        return True

    def feed(self, chunk):
        last = chunk.rfind(b"\n")
        if last < 0:
            self.grow(chunk)
            return
        first = chunk.find(b"\n")
        self.grow(chunk[:first])
        self.flush()
        if last > first:
            self.bulk(chunk[first + 1 : last])
        self.grow(chunk[last + 1 :])

    def grow(self, piece):
        room = self.longest - len(self.rest)
        self.cut += max(0, len(piece) - room)
        self.rest += piece[:room]

    def flush(self):
        """The line that was gathered is whole."""
        line, cut = self.rest, self.cut
        self.rest, self.cut = b"", 0
        if self.wanted(line):
            self.spool.keep(self.kind, [line], cut)
        else:
            self.spool.room = 0
            self.spool.dropped += len(line) + cut

    def bulk(self, block):
        """Whole lines, shorter than a chunk: the quick way when they are all kept, or all dropped."""
        if len(block) > self.spool.room:
            self.sift(block)
            return
        if self.needle and self.needle in block:
            self.ended = True
        if self.longest < CHUNK:
            self.each(block)
        else:
            self.spool.keep(self.kind, block.split(b"\n"))

    def each(self, block):
        for line in block.split(b"\n"):
            self.grow(line)
            self.flush()

    def sift(self, block):
        """At the limit: line by line over it, in one piece beyond it; the line that ends the work is kept whatever its place."""
        if self.spool.room > 0:
            self.each(block)
        elif self.needle and self.needle in block:
            self.each(block)
        else:
            self.spool.dropped += len(block)

    def wanted(self, line):
        if self.needle and not self.ended and self.needle in line:
            self.ended = True
            return True
        return self.spool.room > 0 and len(line) <= self.spool.room

    def close(self):
        if self.rest or self.cut:
            self.flush()


class Input:
    """The agent's stdin: what was given at the start, then what `send` writes into the pipe."""

    def __init__(self, first, pipe, agent, keep):
        self.first, self.pipe, self.agent, self.keep = first, pipe, agent, keep
        self.queue = bytearray()
        os.set_blocking(agent, False)
        os.set_blocking(pipe, False)
        self.refill()

    def refill(self):
        if self.first is not None and len(self.queue) < CHUNK:
            chunk = os.read(self.first, CHUNK)
            self.queue += chunk
            self.first = self.first if chunk else None

    def wants(self):
        """The files to wait for: (to read, to write)."""
        if self.agent is None:
            return None, None
        reading = self.pipe if self.keep and len(self.queue) < QUEUED_INPUT else None
        return reading, self.agent if self.queue else None

    def receive(self):
        try:
            self.queue += os.read(self.pipe, CHUNK)
        except BlockingIOError:
            pass

    def push(self):
        try:
            del self.queue[: os.write(self.agent, self.queue)]
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self.refill()

    def settle(self):
        """Close when all was written and nothing more can come."""
        if self.agent is not None and not self.queue and self.first is None and not self.keep:
            self.close()

    def close(self):
        os.close(self.agent)
        self.agent = None
        self.queue.clear()


def call_c(name, *args):
    """A C function without the 6 ms of `ctypes`; None when this Python has no _ctypes."""
    try:
        import _ctypes

        return _ctypes.call_function(_ctypes.dlsym(_ctypes.dlopen(None, 2), name), args)
    except Exception:
        return None


def hide():
    """Not dumpable: the agent has our uid, and must not open our files through /proc or trace us."""
    call_c("prctl", 4, 0, 0, 0, 0)


def adopt():
    """Become the parent of whoever is orphaned below us, so that without a pid namespace nobody slips away."""
    call_c("prctl", 36, 1, 0, 0, 0)


def limit(name, value):
    hard = resource.getrlimit(name)[1]
    value = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
    resource.setrlimit(name, (value, value))


def become(job, files, gate):
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


def launch(job):
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


def widen(fd):
    try:
        import fcntl

        fcntl.fcntl(fd, 1031, CHUNK)  # F_SETPIPE_SZ: fewer turns for an agent that prints much
    except (ImportError, OSError):
        pass


def usage(paths, stop):
    """Bytes on disk below `paths`; gives up once it is more than `stop`."""
    total, todo = 0, list(paths)
    while todo and total <= stop:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        except OSError:
            continue
    return total


def watch_disk(job, bell):
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


def children():
    """Everybody below us, by their parents."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
    found, todo = [], [os.getpid()]
    while todo:
        parent = todo.pop()
        below = [pid for pid, its in parents.items() if its == parent]
        found += below
        todo += below
    return found


class Watch:
    """One run of the agent: the loop, its deadlines and its end."""

    def __init__(self, job, spool, fds):
        self.job, self.spool, self.oom = job, spool, fds[3]
        spool.append(spool.put(START, b"%.3f %d" % (time.clock_gettime(time.CLOCK_BOOTTIME), os.getpid())))
        self.pid, stdin, out, err = launch(job)
        self.streams = {out: Stream(out, OUT, spool, job), err: Stream(err, ERR, spool, job)}
        self.input = Input(fds[2], fds[1], stdin, bool(job.number["keep_stdin"]))
        self.wall = time.monotonic() + job.number["wall"]
        self.kill_at, self.cause, self.status = None, None, None
        self.death = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        self.bell, ring = os.pipe()
        import _thread

        _thread.start_new_thread(watch_disk, (job, ring))

    def signal(self, number):
        try:
            os.killpg(self.pid, number)
        except OSError:
            pass

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.status = status

    def deadlines(self):
        now = time.monotonic()
        if now > self.wall and self.cause is None:
            self.cause, self.kill_at = "wall", now + 1.0
            self.signal(SIGTERM)
        if self.kill_at is None and any(stream.ended for stream in self.streams.values()):
            self.kill_at = now + self.job.number["grace"]
        if self.kill_at is not None and now > self.kill_at:
            self.signal(SIGKILL)

    def patience(self):
        """Milliseconds until something is due."""
        due = self.wall if self.kill_at is None else self.kill_at
        wait = max(1.0, (due - time.monotonic()) * 1000)
        return min(wait, 500.0 if self.death is not None else 20.0)

    def turn(self):
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

    def answer(self, fd):
        if fd == self.bell:
            os.read(self.bell, 1)
            self.cause = "disk"
            self.signal(SIGKILL)
        elif fd == self.input.agent:
            self.input.push()
        elif fd == self.input.pipe:
            self.input.receive()
        elif fd in self.streams and self.streams[fd].pull() is None:
            self.streams.pop(fd).close()

    def drain(self):
        """The agent is dead: take what it had written, but wait for no child that goes on writing."""
        end = time.monotonic() + 1.0
        for stream in self.streams.values():
            while stream.pull() and time.monotonic() < end:
                pass
            stream.close()

    def out_of_memory(self):
        """Whether the kernel killed for memory; the group's counter was opened for us from outside."""
        if self.oom is None:
            return False
        words = os.pread(self.oom, 4096, 0).split()
        return any(name == b"oom_kill" and count != b"0" for name, count in zip(words, words[1:]))

    def finish(self):
        code = os.WEXITSTATUS(self.status) if os.WIFEXITED(self.status) else None
        number = os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else None
        if self.cause is None and code != 0 and self.kill_at is None and self.out_of_memory():
            self.cause = "memory"
        self.spool.end(code, number, self.cause)

    def run(self):
        while self.status is None:
            self.turn()
        self.drain()
        if self.job.number["open"]:
            self.sweep()
        self.finish()

    def sweep(self):
        """Without a namespace: end whoever the agent left behind."""
        for _ in range(100):
            below = children()
            for pid in below:
                try:
                    os.kill(pid, SIGKILL)
                except OSError:
                    pass
            self.reap()
            if not below:
                return


def keep_only(fds):
    """Close every other file: what we inherited for the set-up is of no use in here."""
    last = 2
    for fd in sorted(fds):
        os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, 1 << 20)


def forward(python, program):
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


def main():
    """Arguments: job, spool, stdin pipe, first stdin, memory events ('-' when none), then the forwarder when there is a way out."""
    job_fd, spool_fd, pipe, first = (int(word) for word in sys.argv[1:5])
    oom = None if sys.argv[5] == "-" else int(sys.argv[5])
    keep_only(fd for fd in (job_fd, spool_fd, pipe, first, oom) if fd is not None)
    job = Job(job_fd)
    os.close(job_fd)
    if job.number["open"]:
        adopt()
    if len(sys.argv) > 6:
        forward(sys.executable, sys.argv[6])
    Watch(job, Spool(spool_fd, int(job.number["output"])), (spool_fd, pipe, first, oom)).run()


if __name__ == "__main__":
    main()
