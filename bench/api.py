"""The row `api`: POST /tasks and GET /tasks/{id} against a bare handler with the same check, validation and one acknowledged write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import processes
from bench.figures import Figure, at, median
from bench.plan import Plan
from bench.processes import Client, System
from trunkline.testing.nats import free_port, nats_server

LEVEL = 64
FRONT = "POST /tasks, owner that only stores"
MEMORY = Path("/dev/shm")
GROUPS = (("gateway",), ("router", "approvals", "sandbox", "relay"))
QUIET = ("approvals", "sandbox", "relay")


def measure(plan: Plan) -> list[Figure]:
    with ExitStack() as stack:
        client, other = stack.enter_context(processes.client()), stack.enter_context(processes.client())
        bare = stack.enter_context(_bare())
        front = stack.enter_context(_front())
        ours = stack.enter_context(processes.trunkline("split", GROUPS))
        for system in (bare, front, ours):
            client.measure("create", system.address, 8, 1.0)
        figures = [
            *_alone(plan, client, bare, front),
            *_compared(plan, client, bare, ours),
            *_together(plan, (client, other), (bare, ours)),
            *_latency(plan, client, {"bare handler": bare, FRONT: front, "POST /tasks": ours}),
        ]
    return [*figures, *_without_a_disk(plan)]


@contextmanager
def _bare(within: Path | None = None) -> Iterator[System]:
    port = free_port()
    with nats_server(within) as server, processes.python("bench.bare", server.url, str(port)) as child:
        processes.await_health(port, [child])
        yield System("bare", "bare", port, server, [child])


@contextmanager
def _front(within: Path | None = None) -> Iterator[System]:
    """One gateway process, and behind it an owner that does what nats-server does for the bare handler: one acknowledged write."""
    port = free_port()
    with nats_server(within) as server, ExitStack() as stack:
        words = (
            ("bench.services", server.url, str(port), "gateway"),
            ("bench.owner", server.url),
            ("bench.services", server.url, "0", *QUIET),
        )
        children = [stack.enter_context(processes.python(*each)) for each in words]
        processes.await_health(port, children)
        yield System("front", "trunkline", port, server, children)


@dataclass(slots=True)
class Measured:
    """All rounds of one path: requests a second, and microseconds of processor that the process which speaks HTTP took for each."""

    rates: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def _alone(plan: Plan, client: Client, bare: System, front: System) -> Iterator[Figure]:
    """What one gateway process can do where it is the limit itself."""
    floor, create = Measured(), Measured()
    for round in range(plan.rounds):
        plan.say(f"api: the gateway alone, round {round + 1}/{plan.rounds}")
        for system, measured in ((bare, floor), (front, create)):
            _once(client, "create", system, plan, measured)
    name, share = FRONT, median(floor.processor) / median(create.processor)
    yield Figure(f"{name}: bare handler's processor against the gateway's", share, "ratio", ">= 0.6")
    yield Figure(f"{name}: rate against the bare handler's", median(create.rates) / median(floor.rates), "ratio", ">= 0.6")


def _compared(plan: Plan, client: Client, bare: System, ours: System) -> Iterator[Figure]:
    floor, create, get = Measured(), Measured(), Measured()
    for round in range(plan.rounds):
        plan.say(f"api: round {round + 1}/{plan.rounds}")
        for kind, system, measured in (("create", bare, floor), ("create", ours, create), ("get", ours, get)):
            _once(client, kind, system, plan, measured)
    yield Figure(f"bare handler, {LEVEL} in flight", median(floor.rates), "/s")
    yield Figure("bare handler, processor of a request", median(floor.processor), "us")
    for measured, path in ((create, "POST /tasks"), (get, "GET /tasks/{id}")):
        yield Figure(f"{path}, {LEVEL} in flight", median(measured.rates), "/s")
        yield Figure(f"{path}, processor of the gateway", median(measured.processor), "us")
        share = median(floor.processor) / median(measured.processor)
        yield Figure(f"{path}: bare handler's processor against the gateway's", share, "ratio", ">= 0.6")
        yield Figure(
            f"{path}: rate against the bare handler's, all on these cores", median(measured.rates) / median(floor.rates), "ratio", ">= 0.6"
        )


def _together(plan: Plan, clients: Sequence[Client], systems: Sequence[System]) -> Iterator[Figure]:
    """Both loaded at the same time. Alone on the machine the bare handler has its caches for itself, while our gateway shares them with
    four services: here they have the same neighbours."""
    shares: list[float] = []
    with ThreadPoolExecutor(len(systems)) as hands:
        for round in range(plan.rounds):
            plan.say(f"api: both at once, round {round + 1}/{plan.rounds}")
            floor, create = Measured(), Measured()
            both = zip(clients, systems, (floor, create), strict=True)
            for done in [hands.submit(_once, client, "create", system, plan, measured) for client, system, measured in both]:
                done.result()
            shares.append(floor.processor[0] / create.processor[0])
    yield Figure("POST /tasks: the same, both loaded at the same time", median(shares), "ratio", ">= 0.6")


def _once(client: Client, kind: str, system: System, plan: Plan, measured: Measured) -> None:
    front = system.children[0].pid
    before = processes.spent(front)
    heard = client.measure(kind, system.address, LEVEL, plan.seconds * 2)
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
        bare, front = stack.enter_context(_bare(MEMORY)), stack.enter_context(_front(MEMORY))
        ours = stack.enter_context(processes.trunkline("split", GROUPS, MEMORY))
        systems = {"bare handler, log in memory": bare, f"{FRONT}, log in memory": front, "POST /tasks, log in memory": ours}
        for system in systems.values():
            client.measure("create", system.address, 8, 1.0)
        yield from _latency(plan, client, systems)


def _latency(plan: Plan, client: Client, systems: Mapping[str, System]) -> Iterator[Figure]:
    """Of each at half of its own full load: what the disk and the neighbours do shows in the bare handler's, too."""
    for name, system in systems.items():
        heard = []
        for round in range(plan.rounds):
            plan.say(f"api: {name} at half load, round {round + 1}/{plan.rounds}")
            heard.append(client.measure("half", system.address, LEVEL, plan.seconds * 2)["first"])
        yield Figure(f"{name} at half load p50", median([at(each, 0.5) for each in heard]), "ms")
        limit = "" if name.startswith("bare") else "<= 15"
        yield Figure(f"{name} at half load p99", median([at(each, 0.99) for each in heard]), "ms", limit)
