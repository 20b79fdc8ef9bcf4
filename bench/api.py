"""The row `api`: POST /tasks and GET /tasks/{id} against a bare handler with the same check, validation and one acknowledged write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import processes
from bench.figures import Figure, at, median
from bench.plan import Plan
from bench.processes import Client, System
from trunkline.testing.nats import free_port, nats_server

LEVEL = 64
GROUPS = (("gateway",), ("router", "approvals", "sandbox", "relay"))


def measure(plan: Plan) -> list[Figure]:
    with ExitStack() as stack:
        client = stack.enter_context(processes.client())
        bare = stack.enter_context(_bare())
        ours = stack.enter_context(processes.trunkline("split", GROUPS))
        for system in (bare, ours):
            client.measure("create", system.address, 8, 1.0)
        return [*_compared(plan, client, bare, ours), *_latency(plan, client, ours)]


@contextmanager
def _bare() -> Iterator[System]:
    port = free_port()
    with nats_server() as server, processes.python("bench.bare", server.url, str(port)) as child:
        processes.await_health(port, [child])
        yield System("bare", "bare", port, server, [child])


def _compared(plan: Plan, client: Client, bare: System, ours: System) -> Iterator[Figure]:
    rates: dict[str, list[float]] = {"bare": [], "create": [], "get": []}
    for round in range(plan.rounds):
        plan.say(f"api: round {round + 1}/{plan.rounds}")
        rates["bare"].append(_rate(client, "create", bare, plan))
        rates["create"].append(_rate(client, "create", ours, plan))
        rates["get"].append(_rate(client, "get", ours, plan))
    floor = median(rates["bare"])
    yield Figure(f"bare handler, {LEVEL} in flight", floor, "/s")
    for name, path in (("create", "POST /tasks"), ("get", "GET /tasks/{id}")):
        yield Figure(f"{path}, {LEVEL} in flight", median(rates[name]), "/s")
        yield Figure(f"{path} against the bare handler", median(rates[name]) / floor, "ratio", ">= 0.6")


def _rate(client: Client, kind: str, system: System, plan: Plan) -> float:
    heard = client.measure(kind, system.address, LEVEL, plan.seconds * 2)
    if heard["bad"]:
        raise RuntimeError(f"{heard['bad']} answers were not what they should be")
    return float(heard["tasks"] / heard["seconds"])


def _latency(plan: Plan, client: Client, ours: System) -> Iterator[Figure]:
    heard = client.measure("half", ours.address, 16, plan.seconds * 4)
    yield Figure("POST /tasks at half load p50", at(heard["first"], 0.5), "ms")
    yield Figure("POST /tasks at half load p99", at(heard["first"], 0.99), "ms", "<= 15")
