"""The row `scale`: tasks on one node and on three, with one router and with two, what a task costs each service, and agents of the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import nats
import uvloop
from nats.errors import Error as NatsError

from bench import leases, processes, routers
from bench.figures import Figure, median
from bench.plan import Plan
from bench.processes import Client, System
from bench.services import NAMES, copies
from trunkline.bus import BusSettings, connect
from trunkline.testing.nats import NatsServer, free_port, nats_cluster, nats_server

IN_FLIGHT = 32
AT_ONCE = 64
"""Of agents: as many as the row `leases` has."""
NODES = "nats-server"


@dataclass(frozen=True, slots=True)
class Place:
    """A system whose log lies on one node or more."""

    system: System
    services: Sequence[str]
    nodes: Sequence[NatsServer]

    def spent(self) -> dict[str, float]:
        """Seconds of processor so far by service, replicas together, and of all nodes."""
        told = dict.fromkeys((*self.services, NODES), 0.0)
        for name, child in zip(self.services, self.system.children, strict=True):
            told[name] += processes.spent(child.pid)
        told[NODES] = sum(processes.spent(node.process.pid) for node in self.nodes if node.process)
        return told


@dataclass(slots=True)
class Measured:
    """All rounds: tasks a second, and milliseconds of processor for a task by service."""

    rates: list[float] = field(default_factory=list)
    processor: dict[str, list[float]] = field(default_factory=dict)


def measure(plan: Plan) -> list[Figure]:
    measured = {name: Measured() for name in ("one node", "one node, two routers", "three nodes")}
    with ExitStack() as stack:
        client = stack.enter_context(processes.client())
        for round in range(1 if plan.quick else 2):
            for name, into in measured.items():
                plan.say(f"scale: round {round + 1}, {name}")
                with _place(name) as place:
                    _once(client, place, plan.seconds * 2, into)
        agents = list(_agents(client, plan))
    return [*_figures(measured), *routers.measure(plan), *agents]


def _agents(client: Client, plan: Plan) -> Iterator[Figure]:
    """Tasks through an agent of the SDK on three nodes, and what the floor does with the same copies of everything."""
    plan.say("scale: agents of the SDK, three nodes")
    with nats_cluster(3) as nodes:
        url = ",".join(node.url for node in nodes)
        uvloop.run(_elected(url))
        with processes.python("bench.floor", url, "single"):
            uvloop.run(_reading(url))
            client.measure("floor", url, 4, 0.5)
            floor = [_rate(client.measure("floor", url, AT_ONCE, plan.seconds * 2)) for _ in range(plan.rounds)]
    with _place("three nodes") as place, processes.python("bench.leasing_agent", url := ",".join(node.url for node in place.nodes)):
        uvloop.run(leases.load(url, 4, 0.5))
        ours = [len(uvloop.run(leases.load(url, AT_ONCE, plan.seconds * 2))) / (plan.seconds * 2) for _ in range(plan.rounds)]
    yield Figure("three nodes: the floor", median(floor), "/s")
    yield Figure("three nodes: tasks through an agent of the SDK", median(ours), "/s")
    yield Figure("three nodes: agent of the SDK / floor", median(ours) / median(floor), "ratio", ">= 0.35")


def _rate(heard: Mapping[str, Any]) -> float:
    return float(heard["tasks"] / heard["seconds"])


async def _elected(url: str) -> None:
    """Until the nodes have found each other and one leads: before that no stream can be made."""
    async with asyncio.timeout(processes.READY):
        client = await nats.connect(url.split(","))
        while True:
            with suppress(NatsError):
                await client.jetstream().add_stream(name="FIRST", subjects=["first"], num_replicas=3)
                break
            await asyncio.sleep(0.1)
        await client.jetstream().delete_stream("FIRST")
        await client.close()


async def _reading(url: str) -> None:
    """Until the worker of the floor reads."""
    async with asyncio.timeout(processes.READY):
        client = await nats.connect(url.split(","))
        while True:
            with suppress(NatsError):
                if (await client.jetstream().consumer_info("WORK", "dev")).num_waiting is not None:
                    break
            await asyncio.sleep(0.1)
        await client.close()


@contextmanager
def _place(name: str) -> Iterator[Place]:
    services = ("router", *NAMES) if name.endswith("routers") else NAMES
    port = free_port()
    with ExitStack() as stack:
        nodes = stack.enter_context(nats_cluster(3)) if name.startswith("three") else [stack.enter_context(nats_server())]
        url = ",".join(node.url for node in nodes)
        asyncio.run(_made(url))
        children = [stack.enter_context(processes.python("bench.services", url, str(port), service)) for service in services]
        processes.await_health(port, children)
        yield Place(System(name, "trunkline", port, nodes[0], children), services, nodes)


async def _made(url: str) -> None:
    """All streams: a new cluster takes a while to make them, and five services that begin at once would wait for each other."""
    async with connect(BusSettings(nats_url=url, replicas=copies(url)), "bench"):
        pass


def _once(client: Client, place: Place, seconds: float, into: Measured) -> None:
    client.measure("trunkline", place.system.address, 8, 1.0)  # the first tasks pay for imports and connections
    before = place.spent()
    heard = client.measure("trunkline", place.system.address, IN_FLIGHT, seconds)
    if heard["bad"]:
        raise RuntimeError(f"{place.system.name}: {heard['bad']} of {heard['tasks']} tasks did not show all events and a result")
    into.rates.append(heard["tasks"] / heard["seconds"])
    for name, after in place.spent().items():
        into.processor.setdefault(name, []).append((after - before[name]) / heard["tasks"] * 1000)


def _figures(measured: dict[str, Measured]) -> Iterator[Figure]:
    floor = median(measured["one node"].rates)
    for name, each in measured.items():
        yield Figure(f"{name}: tasks", median(each.rates), "/s")
        if name != "one node":
            yield Figure(f"{name}: against one node", median(each.rates) / floor, "ratio")
        for service, spent in each.processor.items():
            yield Figure(f"{name}: processor of a task, {service}", median(spent), "ms")
