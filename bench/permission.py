"""The row `permission`: an agent asks, somebody decides by the API, the agent goes on; what is left of it without the human."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

import nats
from nats.aio.msg import Msg
from nats.js import api

from bench.figures import Figure, at
from bench.person import SIGNED, WITHIN, Person, person
from bench.plan import Plan
from bench.watching import Seen, real_stack, submit
from trunkline.testing.nats import nats_server
from trunkline.testing.stack import Stack
from trunkline_sandbox.model import Ask
from trunkline_sandbox.model.asking import call_name

ASKS: Final = 20
WARM: Final = 2
THINKS: Final = 0.05
"""Seconds that the human takes."""
AGENT: Final = f"""python3 -c '
import json, sys, time
def out(**said): print(json.dumps(said), flush=True)
sys.stdin.readline()
out(type="session", id="bench")
times = []
for n in range({ASKS}):
    asked = time.time()
    out(type="permission_request", id="c%d" % n, tool="Shell", input={{"command": "true %d" % n}})
    while json.loads(sys.stdin.readline())["type"] != "permission": pass
    times.append((asked, time.time()))
    out(type="tool_result", id="c%d" % n, output="")
out(type="message", text=json.dumps(times))
open("answer.txt", "w").write("42\\n")
out(type="turn_over", summary="done")
sys.stdin.read()
'"""
RULES: Final = json.dumps([{"tool": "Shell", "then": "ask"}])


@dataclass(frozen=True, slots=True)
class Trip:
    """One question, all on the same clock, in seconds."""

    asked: float
    seen: float
    decided: float
    heard: float

    @property
    def there(self) -> float:
        return (self.seen - self.asked) * 1000

    @property
    def back(self) -> float:
        return (self.heard - self.decided) * 1000


def measure(plan: Plan) -> list[Figure]:
    floor: list[Trip] = []
    ours: list[Trip] = []
    rules = {"TRUNKLINE_AGENT_COMMAND_DUPLEX": "true", "TRUNKLINE_TOOL_RULES": RULES}
    with nats_server() as server, real_stack(AGENT, **SIGNED, **rules) as running:
        for round in range(plan.rounds):
            plan.say(f"permission: round {round + 1}/{plan.rounds}")
            floor += asyncio.run(_floor(server.url))[WARM:]
            ours += _asked(running)[WARM:]
    return [*_figures("the floor: ", floor), *_figures("", ours, "<= 100")]


def _figures(head: str, trips: list[Trip], limit: str = "") -> Iterator[Figure]:
    both = [one.there + one.back for one in trips]
    yield Figure(head + "asked to seen by the human, p50", at([one.there for one in trips], 0.5), "ms")
    yield Figure(head + "decided to heard by the agent, p50", at([one.back for one in trips], 0.5), "ms")
    yield Figure(head + "round trip beside the human, p50", at(both, 0.5), "ms", limit)
    yield Figure(head + "round trip beside the human, p95", at(both, 0.95), "ms")


async def _floor(url: str) -> list[Trip]:
    """A question and its answer, each stored before it is told on, and nothing else."""
    client = await nats.connect(url)
    js = client.jetstream()
    await js.add_stream(name="EVENTS", subjects=["evt.>"], republish=api.RePublish(src="evt.>", dest="live.evt.>"))
    asked, decided = asyncio.Queue[float](1), asyncio.Queue[float](1)

    async def ring(message: Msg) -> None:
        (asked if message.subject.endswith("asked") else decided).put_nowait(time.time())

    await client.subscribe("live.evt.>", cb=ring)
    await client.flush()
    trips = []
    async with asyncio.timeout(WITHIN):
        for _ in range(ASKS):
            began = time.time()
            await js.publish("evt.asked", b"may I?")
            seen = await asked.get()
            await asyncio.sleep(THINKS)
            posted = time.time()
            await js.publish("evt.decided", b"yes")
            trips.append(Trip(began, seen, posted, await decided.get()))
    await client.close()
    return trips


def _asked(running: Stack) -> list[Trip]:
    """One job whose agent asks again and again."""
    job, moments = submit(running), list[tuple[float, float]]()
    with person(running, "approver") as eve:
        for number in range(ASKS):
            name = f"approval_{UUID(job.path.split('/')[3]).hex}_{call_name(1, 1, Ask(f'c{number}', 'Shell', {}, ''))}"
            job.until(partial(_asks, number))
            _until_there(eve, name)
            seen = time.time()
            time.sleep(THINKS)
            moments.append((seen, time.time()))
            status, said = eve.ask("POST", f"/approvals/{name}/approve")
            if status != 200:
                raise RuntimeError(f"a yes was answered with {status}: {said}")
    job.result()
    said = next(one.data["output"] for one in job.seen if str(one.data.get("output")).startswith("[["))
    return [Trip(asked, *moment, heard) for (asked, heard), moment in zip(json.loads(said), moments, strict=True)]


def _asks(number: int, one: Seen) -> bool:
    return str(one.data.get("message")).endswith(f"true {number}")


def _until_there(eve: Person, name: str) -> None:
    """The stream tells of the question; what there is to decide is read as whoever decides would read it."""
    deadline = time.monotonic() + WITHIN
    while eve.ask("GET", f"/approvals/{name}")[0] != 200:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} is not there")
