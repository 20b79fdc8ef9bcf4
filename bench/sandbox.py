"""The row `sandbox`: what walls cost over a bare fork, and how long a small real job takes from its clone to its pull request."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from bench.figures import Figure, at
from bench.plan import Plan
from bench.watching import Job, real_stack, submit
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import LocalProvider, bubblewrap, identity, interpreter, kill_all, profile
from trunkline_sandbox.adapters.providers.local.bubblewrap import Bubblewrap
from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.adapters.providers.local.interpreter import Python
from trunkline_sandbox.adapters.providers.local.profile import Bind, Profile
from trunkline_sandbox.adapters.providers.local.spawning import Plan as Start
from trunkline_sandbox.adapters.providers.local.spawning import attempt
from trunkline_sandbox.adapters.providers.local.staging import Stage
from trunkline_sandbox.ports import Launch, Limits, Line, SandboxSpec

SMALL = Limits(wall=20, memory=512 << 20, processes=64)
WORD = ("/bin/echo", "hello")
PHASES = ("sandbox", "clone", "agent", "push", "pr")


def measure(plan: Plan) -> list[Figure]:
    with _folder() as root:
        return [*_walls(plan, root), *asyncio.run(_starts(plan, root / "boxes")), *_jobs(plan)]


@contextmanager
def _folder() -> Iterator[Path]:
    """One that a sandbox's user may pass through."""
    root = Path(tempfile.mkdtemp(prefix="tlb-", dir="/tmp"))
    root.chmod(0o711)
    try:
        yield root
    finally:
        kill_all(root / "boxes")
        shutil.rmtree(root, ignore_errors=True)


def _walls(plan: Plan, root: Path) -> Iterator[Figure]:
    """fork, exec and wait for the same program, bare and behind the whole profile, in turns."""
    uid = identity.first_uid(Path("/proc/self/uid_map").read_text()) if os.geteuid() == 0 else None
    python = interpreter.choose()
    walls = bubblewrap.find(python, root, uid)
    bare, walled = [], []
    for number in range(5 if plan.quick else 40):
        plan.say(f"sandbox: walls {number + 1}")
        bare.append(_timed(lambda: subprocess.run(WORD, capture_output=True, check=True)))
        walled.append(_timed(lambda: _behind(walls, python, Stage(uid, root))))
    yield Figure("fork and exec, p50", at(bare, 0.5), "ms")
    yield Figure("bubblewrap with the whole profile over fork, p50", at(walled, 0.5) - at(bare, 0.5), "ms", "<= 25")
    yield Figure("bubblewrap with the whole profile over fork, p95", at(walled, 0.95) - at(bare, 0.5), "ms")


def _behind(walls: Bubblewrap, python: Python, stage: Stage) -> None:
    with Handed() as handed:
        binds = (*bubblewrap.shown(python, stage), Bind(stage.seen_as(stage.root), "/run/runner"), Bind("/usr", "/workspace"))
        shape = Profile(stage.seen_as(walls.binary), binds, bubblewrap.merged_links(), seccomp_fd=bubblewrap.filter_file(handed))
        command = tuple(profile.argv(shape, WORD))
        said = attempt(Start(command, tuple(handed.fds), bubblewrap.environment(walls, stage), stage))
    if said != "hello":
        raise RuntimeError(f"bubblewrap said {said!r}")


async def _starts(plan: Plan, root: Path) -> list[Figure]:
    """As the sandbox service does it: make the sandbox, start the runner and the program, hear its first line."""
    provider = LocalProvider(root)
    bare, made, heard = [], [], []
    for number in range(3 if plan.quick else 20):
        plan.say(f"sandbox: starts {number + 1}")
        bare.append(_timed(lambda: subprocess.run(WORD, capture_output=True, check=True)))
        times = await _start(provider, SandboxId(f"bench-{number}"))
        made.append(times[0])
        heard.append(times[1])
    provider.close()
    return [
        Figure("make a sandbox, p50", at(made, 0.5), "ms"),
        Figure("start the runner to the program's first line over fork, p50", at(heard, 0.5) - at(bare, 0.5), "ms"),
        Figure("start the runner to the program's first line over fork, p95", at(heard, 0.95) - at(bare, 0.5), "ms"),
    ]


async def _start(provider: LocalProvider, id: SandboxId) -> tuple[float, float]:
    began = time.perf_counter()
    await provider.ensure(SandboxSpec(id, SMALL, {"tenant": "bench", "task": id}))
    made = time.perf_counter()
    await provider.start(id, Launch("k", WORD, {}))
    async for line in provider.output(id, "k"):
        if isinstance(line, Line):
            break
    heard = time.perf_counter()
    await provider.stop(id)
    await provider.remove(id)
    return (made - began) * 1000, (heard - made) * 1000


def _jobs(plan: Plan) -> list[Figure]:
    jobs: list[Job] = []
    with real_stack("sh -c 'echo working; echo 42 > answer.txt'") as running:
        for number in range(2 if plan.quick else 10):
            plan.say(f"sandbox: small job {number + 1}")
            jobs.append(submit(running))
            jobs[-1].result()
    whole = [(job.seen[-1].at - job.sent_at) * 1000 for job in jobs]
    phases = [_phases(job) for job in jobs]
    return [
        Figure("a small real job, submit to pull request, p50", at(whole, 0.5), "ms"),
        Figure("a small real job, submit to pull request, worst", max(whole), "ms"),
        *(Figure(f"a small real job, phase {name}, p50", at([one[name] for one in phases], 0.5), "ms") for name in PHASES),
    ]


def _phases(job: Job) -> dict[str, float]:
    """Milliseconds from the first event of each phase to the first of the next."""
    began: dict[str, datetime] = {}
    for one in job.seen:
        if phase := one.data.get("phase"):
            began.setdefault(phase, datetime.fromisoformat(one.data["timestamp"]))
    marks = [*(began[name] for name in PHASES), datetime.fromisoformat(job.seen[-1].data["timestamp"])]
    return {name: (marks[place + 1] - marks[place]).total_seconds() * 1000 for place, name in enumerate(PHASES)}


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000
