"""The row `recovery`: from `kill -9` in the middle of a job to the next thing its agent prints at an SSE client."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.figures import Figure, at
from bench.plan import Plan
from bench.stream import printed
from bench.watching import Job, Seen, real_stack, submit
from trunkline.testing.stack import Stack

KILLS = 5
BETWEEN = 1.5
AGENT = """python3 -c '
import time
while True:
    print("%.6f" % time.time(), flush=True)
    time.sleep(0.05)
'"""


def measure(plan: Plan) -> list[Figure]:
    kills = 1 if plan.quick else KILLS
    with real_stack(AGENT, "--split") as running:
        return [figure for victim in ("sandbox", "gateway", "nats-server", "router") for figure in _victim(plan, running, victim, kills)]


def _victim(plan: Plan, running: Stack, victim: str, kills: int) -> Iterator[Figure]:
    times = []
    job = submit(running)
    job.until(_said)
    for number in range(kills):
        plan.say(f"recovery: {victim}, kill {number + 1}/{kills}")
        time.sleep(BETWEEN)
        times.append(_new_job(running) if victim == "router" else _killed(running, job, victim))
        running.await_ready()
    _cancel(running, job)
    what = "a job sent at the kill speaks" if victim == "router" else "the job's next words"
    yield Figure(f"{victim} killed to {what}, p50", at(times, 0.5), "s")
    yield Figure(f"{victim} killed to {what}, worst of {kills}", max(times), "s", "<= 10")


def _killed(running: Stack, job: Job, victim: str) -> float:
    """Seconds until something comes that was printed after the kill."""
    killed = time.time()
    running.kill(victim)
    return job.until(lambda one: _said(one) and printed(one) > killed).at - killed


def _new_job(running: Stack) -> float:
    """The router has no part in a job between its beginning and its end: a new one is sent while it is dead."""
    killed = time.time()
    running.kill("router")
    job = submit(running, "another")
    took = job.until(_said).at - killed
    _cancel(running, job)
    return took


def _cancel(running: Stack, job: Job) -> None:
    job.left = True
    running.ask("POST", job.path.removesuffix("/stream") + "/cancel")


def _said(one: Seen) -> bool:
    return bool(one.data["type"] == "agent")
