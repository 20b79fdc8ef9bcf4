"""One start of a program in a sandbox: lay out what it needs, hand over the open files, spawn, and wait until it runs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from trunkline.contracts.errors import Conflict, Invalid, NotFound, Unavailable
from trunkline_sandbox.adapters.providers.local import bubblewrap, journal, limits, locks, processes, profile, seats, spool, trees, unsafe
from trunkline_sandbox.adapters.providers.local.ahead import Ahead, built_in
from trunkline_sandbox.adapters.providers.local.bubblewrap import Bubblewrap
from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.adapters.providers.local.interpreter import Python
from trunkline_sandbox.adapters.providers.local.places import Place, Record, Run, write_whole
from trunkline_sandbox.adapters.providers.local.profile import Bind, Profile
from trunkline_sandbox.adapters.providers.local.spawning import Plan, spawn
from trunkline_sandbox.adapters.providers.local.staging import Stage
from trunkline_sandbox.ports import Launch

PASSWD = b"root:x:0:0::/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n"
GROUP = b"root:x:0:\nagent:x:1000:\n"
HOSTS = b"127.0.0.1 localhost sandbox\n"
RESOLVER = b"options timeout:1 attempts:1\n"
"""There is nobody to ask for names; without these words some programs ask for seconds all the same."""
ETC = {"/etc/passwd": PASSWD, "/etc/group": GROUP, "/etc/hosts": HOSTS, "/etc/resolv.conf": RESOLVER}
PROXY_PORT = 3128
PATIENCE = 15.0
GRACE = 10.0
"""Seconds that a program may still take after the line that ends its work."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What this machine starts sandboxes with; no `walls` is --unsafe-local. Sizes in bytes."""

    walls: Bubblewrap | None
    python: Python
    runner: Path
    """The directory of the runner and the forwarder."""
    reserve: int
    """Free space of the disk below which large sandboxes are ended."""


@dataclass(frozen=True, slots=True)
class Order:
    """One start to be made."""

    place: Place
    record: Record
    launch: Launch

    @property
    def run(self) -> Run:
        return self.place.run(self.launch.key)

    @property
    def proxied(self) -> bool:
        return bool(self.record.spec.egress)


@dataclass(frozen=True, slots=True)
class Inherited:
    """The open files and words that the runner is given beside those of the start itself."""

    spool: int
    job: int
    stdin: int
    ways: tuple[str, ...]
    gate: int | None = None


def start(engine: Engine, order: Order, ahead: Ahead | None = None) -> None:
    """Start the program, unless it was started before; returns when it runs. The caller holds the lock. Raises Invalid, Unavailable."""
    check(order.launch)
    order.run.dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if ahead is not None and _let_begin(engine, order, ahead):
        return
    with Handed() as handed:
        fd = handed.open(order.run.spool, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        if not _claim(fd):
            return
        if order.run.stopping.exists():
            raise Conflict("This start was stopped before it began; start under another key.", code="START_STOPPED")
        order, ways = _with_ways(engine, order, handed)
        lay_out(order)
        told = (handed.memory(_job(engine, order)), handed.memory(order.launch.stdin))
        pid = _spawn(engine, order, handed, Inherited(fd, *told, ways))
    _await(order.run)
    _remember(engine, order.run, pid)


def make_ahead(engine: Engine, order: Order) -> Ahead | None:
    """All of a start but for the program; None where it cannot be, or somebody has it in hand. The caller holds the lock."""
    check(order.launch)
    order.run.dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Handed() as handed, Handed() as hidden:
        fd = handed.open(order.run.spool, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        if engine.walls is None or not locks.take(fd) or spool.began(fd) is not None or order.run.stopping.exists():
            return None
        order.run.waiting.touch()  # first: whoever finds it knows that it may send away who waits
        order.place.shown(order.launch.key).mkdir(parents=True, exist_ok=True, mode=0o755)
        journal.make(order.run, order.launch.keep_stdin)
        gate, word = handed.pipe()
        hidden.take_over(handed, word)  # who waits must not hold it itself
        job, stdin, (_, ways) = handed.memory(b""), handed.memory(b""), _with_ways(engine, order, handed)
        _spawn(engine, order, handed, Inherited(fd, job, stdin, ways, gate))
        files = Handed().take_over(hidden, word).take_over(handed, job, stdin)
        return Ahead(order.run, built_in(order.launch), job, stdin, word, files)


def _let_begin(engine: Engine, order: Order, ahead: Ahead) -> bool:
    """Give the word to who waits; False when nobody heard it. Whoever dies on the way sends away who waits, or has started it."""
    lay_out(order)
    order.run.waiting.unlink(missing_ok=True)
    ahead.tell(_job(engine, order), order.launch.stdin)
    ahead.close()
    try:
        _await(order.run)
    except Unavailable:
        return False
    _remember(engine, order.run, None)
    return True


def _claim(fd: int) -> bool:
    """Take the spool; False when a program was started on it. One that is half-way there begins, or lets go, within a moment."""
    end = time.monotonic() + PATIENCE
    while spool.began(fd) is None:
        if locks.take(fd):
            return spool.began(fd) is None
        if time.monotonic() > end:
            raise Unavailable("An earlier start of this program neither begins nor ends; stop the sandbox.", code="SANDBOX_START_FAILED")
        time.sleep(0.002)
    return False


def check(launch: Launch) -> None:
    """Refuse what cannot be started. Raises Invalid, NotFound."""
    words = [*launch.argv, *launch.env, *launch.env.values()]
    if not launch.argv or any("\0" in word for word in words) or any("=" in name for name in launch.env):
        raise Invalid("A program to start is needed, and no NUL in its arguments and variables.", code="BAD_LAUNCH")
    shown = [(path, "/run/trunkline") for path in launch.files] + [(path, "/opt/agent") for path in launch.tools]
    for path, below in [*shown, *((f"/run/host/{name}", "/run/host") for name in launch.sockets)]:
        if not path.startswith(below + "/") or os.path.normpath(path) != path or (below == "/run/host" and path.count("/") != 3):
            raise Invalid(f"{path} is not below {below}.", code="BAD_LAUNCH")
    for port, path in launch.forwards.items():
        if not 1024 <= port < 65536 or port == PROXY_PORT or not path.startswith("/run/host/") or os.path.normpath(path) != path:
            raise Invalid(f"Port {port} cannot lead to {path}; a port from 1024 on, and a path below /run/host.", code="BAD_LAUNCH")
    for source in (*launch.tools.values(), *launch.sockets.values()):
        if not source.exists():
            raise NotFound(f"{source} is to be shown in the sandbox and is not there.", code="NO_SUCH_TOOL")


def lay_out(order: Order) -> None:
    """Write what the program is to find; doing it again changes nothing."""
    shown = order.place.shown(order.launch.key)
    shown.mkdir(parents=True, exist_ok=True, mode=0o755)
    for path, data in order.launch.files.items():
        target = shown / path.removeprefix("/run/trunkline/")
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        target.write_bytes(data)
        target.chmod(0o644)
    trees.plant(order.place.home, order.launch.home_files, order.record.uid)
    journal.make(order.run, order.launch.keep_stdin)


def _with_ways(engine: Engine, order: Order, handed: Handed) -> tuple[Order, tuple[str, ...]]:
    """What the forwarder is told: each port, or the open file that listens, with where it leads to; and the order that goes with it."""
    launch = order.launch
    if engine.walls is not None:
        proxy = (f"{PROXY_PORT}:/run/egress/egress.sock",) if order.proxied else ()
        return order, (*proxy, *(f"{port}:{path}" for port, path in launch.forwards.items()))
    # Without a network of its own, two of them would want the same port.
    doors = {port: handed.listening() for port in launch.forwards}
    paths = unsafe.paths(order.place, launch)
    ways = tuple(f"@{doors[port][0]}:{unsafe.outside(path, paths)}" for port, path in launch.forwards.items())
    ports = {port: there for port, (_, there) in doors.items()}
    return replace(order, launch=unsafe.translated(launch, paths, ports)), ways


def _spawn(engine: Engine, order: Order, handed: Handed, told: Inherited) -> int:
    record = order.record
    files = (handed.open(order.run.journal, os.O_RDWR), handed.open(order.run.bell, os.O_RDWR))
    events = limits.memory_events(record.cage)
    oom = "-" if events is None else str(handed.open(events, os.O_RDONLY))
    gate = () if told.gate is None else (f"+{told.gate}",)
    inside = engine.runner if engine.walls is None else Path("/run/runner")
    ways = (str(inside / "forwarder.py"), *told.ways) if told.ways else ()
    words = (*(str(number) for number in (told.job, told.spool, *files, told.stdin)), oom, *gate, *ways)
    stage = Stage(record.uid, order.place.dir.parent)
    if engine.walls is None:
        command: tuple[str, ...] = (engine.python.path, "-I", "-S", "-E", str(runner_file(engine.runner)), *words)
        env: dict[str, str] = {}
    else:
        command = _walled(engine, engine.walls, order, handed, (stage, words))
        env = bubblewrap.environment(engine.walls, stage)
    return spawn(Plan(command, tuple(handed.fds), env, stage), record, order.run.log)


def _walled(engine: Engine, walls: Bubblewrap, order: Order, handed: Handed, told: tuple[Stage, tuple[str, ...]]) -> tuple[str, ...]:
    stage, words = told
    command = (engine.python.path, "-I", "-S", "-E", f"/run/runner/{runner_file(engine.runner).name}", *words)
    shape = Profile(
        stage.seen_as(walls.binary),
        _binds(engine, order, stage),
        bubblewrap.merged_links(),
        {path: handed.memory(text) for path, text in ETC.items()},
        handed.open(order.run.info, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        bubblewrap.filter_file(handed, pinned=bool(order.record.seats)),
    )
    return tuple(profile.argv(shape, command))


def _binds(engine: Engine, order: Order, stage: Stage) -> tuple[Bind, ...]:
    place, launch = order.place, order.launch
    readable: dict[str, Path] = {"/run/runner": engine.runner, "/run/trunkline": place.shown(launch.key), **launch.tools}
    readable |= {f"/run/host/{name}": path for name, path in launch.sockets.items()}
    if order.proxied:
        readable["/run/egress"] = place.egress
    return (
        *bubblewrap.shown(engine.python, stage),
        Bind(stage.seen_as(place.home), "/home/agent", writable=True),
        Bind(stage.seen_as(place.workspace), "/workspace", writable=True),
        *(Bind(stage.seen_as(source), target) for target, source in readable.items()),
    )


def runner_file(dir: Path) -> Path:
    """The compiled runner when there is one: compiling it costs as much as starting Python."""
    compiled = dir / "runner.pyc"
    return compiled if compiled.exists() else dir / "runner.py"


def _job(engine: Engine, order: Order) -> bytes:
    """What the runner is told, as it reads it: eleven numbers, then words, divided by NUL."""
    limit, place, launch = order.record.spec.limits, order.place, order.launch
    walled = engine.walls is not None
    numbers: Mapping[str, float] = {
        "wall": limit.wall, "line": limit.line, "output": limit.output, "disk": limit.disk, "file_size": limit.file_size,
        # Without a uid and a namespace of its own, the limit would count every process of this user.
        "processes": limit.processes if walled else 0,
        "reserve": engine.reserve, "grace": GRACE, "open": not walled,
        # A memory group counts for itself, and better.
        "memory": 0 if order.record.cage else limit.memory,
        "cores": len(order.record.seats) or seats.count(limit.cpus, os.cpu_count() or 1),
    }  # fmt: skip
    cwd, home = ("/workspace", "/home/agent") if walled else (str(place.workspace), str(place.home))
    env = profile.environment(launch.env, order.proxied and walled)
    if not walled:
        env = env | {"HOME": launch.env.get("HOME", home), unsafe.MARK: unsafe.mark(place)}
    words = [f"{name}={float(value)!r}" for name, value in numbers.items()]
    words += [(launch.ends_with or b"").hex(), cwd, home, str(len(launch.argv)), *launch.argv]
    return "\0".join([*words, *(f"{name}={value}" for name, value in env.items())]).encode("utf-8", "surrogateescape")


def _await(run: Run) -> None:
    """Return when the runner has begun. Raises Unavailable with what was said when it ended instead."""
    end = time.monotonic() + PATIENCE
    with Handed() as handed:
        fd = handed.open(run.spool, os.O_RDWR)
        while spool.began(fd) is None:
            if not locks.held(fd) and spool.began(fd) is None:
                said = run.log.read_bytes()[-500:].decode(errors="replace").strip()
                raise Unavailable(f"The sandbox did not start: {said or 'it ended at once'}.", code="SANDBOX_START_FAILED")
            if time.monotonic() > end:
                raise Unavailable(f"The sandbox did not start within {PATIENCE:.0f} s.", code="SANDBOX_START_FAILED")
            time.sleep(0.001)


def _remember(engine: Engine, run: Run, pid: int | None) -> None:
    """Note the first process of the sandbox by pid and start time; it may have ended already."""
    first = pid if engine.walls is None else first_process(run)
    process = None if first is None else processes.find(first)
    if process is not None:
        write_whole(run.process, json.dumps(asdict(process)).encode())


def first_process(run: Run) -> int | None:
    """The pid outside of the namespace's first process, as bubblewrap told it."""
    try:
        return int(json.loads(run.info.read_bytes())["child-pid"])
    except (OSError, ValueError, KeyError):
        return None
