"""The row `api`: POST /tasks and GET /tasks/{id} against a bare handler with the same check, validation and one acknowledged write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import processes
from bench.figures import Figure, at, median
from bench.front import front as alone
from bench.plan import Plan
from bench.processes import Client, System
from trunkline.testing.nats import free_port, nats_server

LEVEL = 64
FRONT = "POST /tasks, owner that only stores"
ALL = "POST /tasks, all services on these cores"
MEMORY = Path("/dev/shm")
TURNS, SHORT = 4, 0.8
"""Turns in a round, and of what a measurement takes."""


def measure(plan: Plan) -> list[Figure]:
    with ExitStack() as stack:
        client, other = stack.enter_context(processes.client()), stack.enter_context(processes.client())
        bare = stack.enter_context(_bare())
        front = stack.enter_context(alone())
        ours = stack.enter_context(processes.trunkline("split", processes.APART))
        for system in (bare, front, ours):
            client.measure("create", system.address, 8, 1.0)
        paths = (
            Way("create", front, FRONT),
            Way("get", ours, "GET /tasks/{id}"),
            Way("create", ours, ALL, ""),
        )
        figures = [
            *_in_turns(plan, client, bare, paths),
            *_together(plan, (client, other), (bare, ours)),
            *_latency(plan, client, (Way("create", bare, "bare handler", ""), *paths)),
        ]
    return [*figures, *_without_a_disk(plan)]


@contextmanager
def _bare(within: Path | None = None) -> Iterator[System]:
    port = free_port()
    with nats_server(within) as server, processes.python("bench.bare", server.url, str(port)) as child:
        processes.await_health(port, [child])
        yield System("bare", "bare", port, server, [child])


@dataclass(slots=True)
class Measured:
    """All turns of one path: requests a second, microseconds of processor that the process which speaks HTTP took for each; and both
    against the bare handler a moment before."""

    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    rate_shares: list[float] = field(default_factory=list)
    processor_shares: list[float] = field(default_factory=list)

    def compare(self, floor: Measured) -> None:
        self.rate_shares.append(self.rates[-1] / floor.rates[-1])
        self.processor_shares.append(floor.processor[-1] / self.processor[-1])


@dataclass(frozen=True, slots=True)
class Way:
    """What is measured, how it is called, and what is asked of its rate: nothing, nor of its latency, where it is not the gateway alone
    that is measured, for what is behind a POST shares its cores."""

    kind: str
    system: System
    name: str
    rate: str = ">= 0.6"


def _in_turns(plan: Plan, client: Client, bare: System, paths: Sequence[Way]) -> Iterator[Figure]:
    """Many short turns, the bare handler before each: a host that is shared becomes slower and faster within seconds, for both alike."""
    floor, measured = Measured(), [Measured() for _ in paths]
    for turn in range(TURNS * plan.rounds):
        plan.say(f"api: turn {turn + 1}/{TURNS * plan.rounds}")
        for path, each in zip(paths, measured, strict=True):
            _once(client, "create", bare, plan.seconds * SHORT, floor)
            _once(client, path.kind, path.system, plan.seconds * SHORT, each)
            each.compare(floor)
    yield Figure(f"bare handler, {LEVEL} in flight", median(floor.rates), "/s")
    yield Figure("bare handler, processor of a request", median(floor.processor), "us")
    for path, each in zip(paths, measured, strict=True):
        yield from _shares(path, each)


def _shares(path: Way, measured: Measured) -> Iterator[Figure]:
    yield Figure(f"{path.name}, {LEVEL} in flight", median(measured.rates), "/s")
    yield Figure(f"{path.name}, processor of the gateway", median(measured.processor), "us")
    limit = ">= 0.6" if path.rate else ""
    yield Figure(f"{path.name}: bare handler's processor against the gateway's", median(measured.processor_shares), "ratio", limit)
    yield Figure(f"{path.name}: rate against the bare handler's", median(measured.rate_shares), "ratio", path.rate)


def _together(plan: Plan, clients: Sequence[Client], systems: Sequence[System]) -> Iterator[Figure]:
    """Both loaded at the same time. Alone on the machine the bare handler has its caches for itself, while our gateway shares them with
    four services: here they have the same neighbours."""
    shares: list[float] = []
    with ThreadPoolExecutor(len(systems)) as hands:
        for round in range(plan.rounds):
            plan.say(f"api: both at once, round {round + 1}/{plan.rounds}")
            floor, create = Measured(), Measured()
            both = zip(clients, systems, (floor, create), strict=True)
            for done in [hands.submit(_once, client, "create", system, plan.seconds * 2, measured) for client, system, measured in both]:
                done.result()
            shares.append(floor.processor[0] / create.processor[0])
    yield Figure("POST /tasks: processor, the bare handler loaded at the same time", median(shares), "ratio", ">= 0.6")


def _once(client: Client, kind: str, system: System, seconds: float, measured: Measured) -> None:
    front = system.children[0].pid
    before = processes.spent(front)
    heard = client.measure(kind, system.address, LEVEL, seconds)
    if heard["bad"]:
        raise RuntimeError(f"{heard['bad']} answers were not what they should be")
    measured.rates.append(heard["tasks"] / heard["seconds"])
    measured.processor.append((processes.spent(front) - before) / heard["tasks"] * 1e6)


def _without_a_disk(plan: Plan) -> Iterator[Figure]:
    """What is left of the latencies where an acknowledged write waits for no disk: the part that is Trunkline's."""
    if not MEMORY.is_dir():
        return
    with ExitStack() as stack:
        client = stack.enter_context(processes.client())
        bare, front = stack.enter_context(_bare(MEMORY)), stack.enter_context(alone(MEMORY))
        ours = stack.enter_context(processes.trunkline("split", processes.APART, MEMORY))
        ways = (
            Way("create", bare, "bare handler, log in memory", ""),
            Way("create", front, f"{FRONT}, log in memory", ""),
            Way("create", ours, f"{ALL}, log in memory", ""),
        )
        for way in ways:
            client.measure("create", way.system.address, 8, 1.0)
        yield from _latency(plan, client, ways)


def _latency(plan: Plan, client: Client, paths: Sequence[Way]) -> Iterator[Figure]:
    """Of each at half of its own full load: what the disk and the neighbours do shows in the bare handler's, too."""
    for path in paths:
        heard = []
        for round in range(plan.rounds):
            plan.say(f"api: {path.name} at half load, round {round + 1}/{plan.rounds}")
            heard.append(client.measure(f"half {path.kind}", path.system.address, LEVEL, plan.seconds * 2)["first"])
        yield Figure(f"{path.name} at half load p50", median([at(each, 0.5) for each in heard]), "ms")
        yield Figure(f"{path.name} at half load p99", median([at(each, 0.99) for each in heard]), "ms", "<= 15" if path.rate else "")
