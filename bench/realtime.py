"""The row `realtime`: subscribers of one channel on one gateway process: how late they hear, what each costs, and some too many."""

from __future__ import annotations

import asyncio
import json
import resource
import time
import urllib.request
from collections.abc import Iterator

import psutil

from bench import timelines
from bench.bare import token
from bench.figures import Figure, median
from bench.plan import Plan
from bench.processes import System
from bench.subscribers import Audience, Heard, Job
from bench.timelines import Crowd

MOST = 10_000
"""As many as one gateway process takes by default (`stream_limit`)."""
MORE = 200
"""That come when it is full."""
FILES = MOST + 1_000
SHARE = 5
"""Every fifth hears events, the others have a WebSocket."""


def measure(plan: Plan) -> list[Figure]:
    enough = _files()
    sizes = (1, 100) if plan.quick else (1, 100, 5_000)
    with timelines.gateway() as system, timelines.bare(system.server.url) as floor:
        figures = [figure for count in sizes for figure in asyncio.run(_both(plan, system, floor, count))]
        if plan.quick or not enough:
            plan.say(f"realtime: {MOST:,} are left out: that takes {FILES:,} open files, see ulimit -n")
            return figures
        return figures + list(asyncio.run(_full(plan, system)))


async def _both(plan: Plan, system: System, floor: int, count: int) -> list[Figure]:
    ticket = _ticket(system.address)
    ours = Audience(system.address, f"/v1/realtime/connect?token={ticket}", f"/v1/realtime/sse?token={ticket}")
    theirs = Audience(floor, "/connect", "/follow")
    async with timelines.log_of(system) as bus:
        job = Job(bus)
        await job.begin()
        heard = []
        for audience in (ours, theirs):
            with timelines.crowd() as crowd:
                heard.append(await _of(plan, crowd, job, (audience, system), count))
    return list(_figures(*heard))


async def _of(plan: Plan, crowd: Crowd, job: Job, who: tuple[Audience, System], count: int) -> Heard:
    audience, system = who
    before = _resident(system)
    plan.say(f"realtime: {count} come in")
    audience.come_in(crowd, count, count // SHARE)
    heard = Heard(count, memory=(_resident(system) - before) / 1024 / count)
    await heard.speak(plan, crowd, job)
    return heard


async def _full(plan: Plan, system: System) -> Iterator[Figure]:
    """As many as there is room for, and then some more."""
    ticket = _ticket(system.address)
    audience = Audience(system.address, f"/v1/realtime/connect?token={ticket}", f"/v1/realtime/sse?token={ticket}")
    async with timelines.log_of(system) as bus:
        job = Job(bus)
        await job.begin()
        with timelines.crowd() as crowd, timelines.crowd() as others:
            heard = await _of(plan, crowd, job, (audience, system), MOST)
            full = _resident(system)
            told = others.ask("knock", port=system.address, path=audience.socket, count=MORE)
            answered = _answered(system.address)
            grown = (_resident(system) - full) / (1 << 20)
            await heard.speak(plan, crowd, job)
    return _beyond(heard, told, answered, grown)


def _files() -> bool:
    """Whether enough files may be open, here and in all that is started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
        return True
    return False


def _ticket(port: int | str) -> str:
    wish = json.dumps([{"channel": "tasks", "name": "update", "kind": "run"}])
    shown = {"Authorization": f"Bearer {token()}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/v1/realtime/token", wish.encode(), shown)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return str(json.loads(answer.read())["jwt"])


def _answered(port: int | str) -> float:
    """Milliseconds to an answer, the middle of some."""
    took = []
    for _ in range(20):
        began = time.perf_counter()
        _ticket(port)
        took.append((time.perf_counter() - began) * 1000)
    return median(took)


def _resident(system: System) -> float:
    """Bytes."""
    return float(psutil.Process(system.children[0].pid).memory_info().rss)


def _head(heard: Heard) -> str:
    return "1 subscriber: " if heard.count == 1 else f"{heard.count:,} subscribers: "


def _figures(ours: Heard, theirs: Heard) -> Iterator[Figure]:
    head = _head(ours)
    if ours.count > 1:
        yield Figure(head + "memory each", ours.memory, "KiB")
    yield Figure(head + "one message, p50", ours.p(0.5), "ms", "<= 20" if ours.count <= 100 else "")
    yield Figure(head + "one message, p99", ours.p(0.99), "ms")
    yield Figure(head + "p50 / floor", ours.p(0.5) / theirs.p(0.5), "ratio")
    yield Figure(head + "p99 / floor", ours.p(0.99) / theirs.p(0.99), "ratio")
    yield from _whole(ours)


def _beyond(heard: Heard, told: dict[str, int], answered: float, grown: float) -> Iterator[Figure]:
    head = _head(heard)
    yield Figure(head + "memory each", heard.memory, "KiB")
    yield Figure(head + "one message, p50", heard.p(0.5), "ms")
    yield Figure(head + "one message, p99", heard.p(0.99), "ms")
    yield from _whole(heard)
    yield Figure(f"{head}of {MORE} more, 503 with Retry-After", float(min(told.get("503", 0), told["later"])), "of all", f">= {MORE}")
    yield Figure(head + "a ticket is made meanwhile in", answered, "ms")
    yield Figure(f"{head}memory of {MORE} refused", grown, "MiB")


def _whole(heard: Heard) -> Iterator[Figure]:
    yield Figure(_head(heard) + "not heard of", float(heard.missed), "of all", "<= 0")
    yield Figure(_head(heard) + "heard twice", float(heard.twice), "of all", "<= 0")
