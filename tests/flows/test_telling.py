"""What a service tells of itself on a real nats-server: spans carried on by every kind of message, to a collector, within bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import ClientSession, ClientTimeout, web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Told
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from prometheus_client.parser import text_string_to_metric_families

from tests.flows.small_gateway import back
from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.bus import traces as spool
from trunkline.bus.streams import CONSUMERS, TIMERS
from trunkline.contracts import subjects
from trunkline.contracts.errors import Conflict
from trunkline.contracts.ids import TenantId
from trunkline.contracts.message import Accepted, Command, Message
from trunkline.contracts.trace import SpanView
from trunkline.runtime import health
from trunkline.runtime.clock import now
from trunkline.telemetry import otlp, traces
from trunkline.telemetry.sampling import Sampler
from trunkline.telemetry.traces import Span
from trunkline.testing.nats import NatsServer, free_port, nats_server

pytestmark = pytest.mark.flow

ACME = TenantId("acme")
SECRET = "ghp_" + "s3cr3t" * 6


class Ask(Command):
    type: str = "ask"


class Due(Message):
    word: str


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


def settings(server: NatsServer, **said: object) -> BusSettings:
    return BusSettings.model_validate({"nats_url": server.url, "traces_per_s": 1000.0, **said})


@asynccontextmanager
async def request(bus: Bus, name: str = "POST /tasks") -> AsyncIterator[Span]:
    with bus.watch.tracer.edge(name, ("", ""), writes=True) as span:
        traces.belongs_to(ACME, "ann")
        yield span


async def told(bus: Bus, span: Span, *names: str) -> dict[str, SpanView]:
    """The spans of a trace, once these are among them."""
    async with asyncio.timeout(10):
        while not set(names) <= set(found := {each.name: each for each in await bus.traces.spans(ACME, span.trace_id, 100)}):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


async def test_commands_work_and_timers_carry_it_on_to_whoever_hears_them(server: NatsServer) -> None:
    heard = asyncio.Queue[str]()

    async def answer(_: Ask) -> Accepted:
        heard.put_nowait(traces.carried({})["traceparent"])
        await bus.timers.set("t", "1", now() + timedelta(milliseconds=200), ("router", "sla"), Due(word="x"))
        await bus.work.put(WorkItem(tenant="acme", task="t1", attempt=1, pool="dev", priority="P2"))
        return Accepted(seq=1)

    async def due(_: Due) -> None:
        heard.put_nowait(traces.carried({})["traceparent"])

    async def carry(item: WorkItem, _: int) -> None:
        heard.put_nowait(traces.carried({})["traceparent"])

    async with connect(settings(server), "router") as bus, asyncio.timeout(20):
        bus.inlet.command("router", Ask, answer)
        bus.inlet.timer("router", "sla", Due, due)
        await bus.inlet.start("router")
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(bus.work.take("dev", 1, carry))
            async with request(bus) as span:
                await bus.commands.send("router", "t1", Ask(tenant="acme", at=now()))
            seen = {(await heard.get()).split("-")[1] for _ in range(3)}
            found = await told(bus, span, "router.ask", "due-router-sla", "work-dev", "POST /tasks")
            taking.cancel()
    assert seen == {span.trace_id}
    assert found["router.ask"].parent_id == span.span_id
    assert {found[name].parent_id for name in ("due-router-sla", "work-dev")} == {found["router.ask"].span_id}
    assert (found["router.ask"].task, found["work-dev"].task, found["POST /tasks"].by) == ("t1", "t1", "ann")


async def test_what_there_is_no_room_for_is_dropped_aloud_and_the_newest_stays(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "KEPT", 10)
    async with connect(settings(server, metrics_port=free_port()), "router") as bus:
        async with request(bus) as span:
            for number in range(20):
                with traces.child(f"step {number}"):
                    pass
        found = await told(bus, span, "POST /tasks")
        assert set(found) == {"POST /tasks", *(f"step {number}" for number in range(11, 20))}
        assert figure(bus, "trunkline_spans_dropped_total") == 11


async def test_what_ended_at_the_very_end_is_told_too_and_what_is_nobodys_never(server: NatsServer) -> None:
    async with connect(settings(server), "router") as bus:
        async with request(bus) as span:
            pass
        with bus.watch.tracer.edge("GET /", ("", ""), writes=True) as nobodys:
            pass
    async with connect(settings(server), "relay") as bus:
        assert set(await told(bus, span, "POST /tasks")) == {"POST /tasks"}
        assert await bus.traces.spans(ACME, nobodys.trace_id, 10) == []
        kept = (await bus.client.jetstream().stream_info("TRACES")).config
        assert kept.max_bytes and kept.max_bytes > 0 and kept.max_age and kept.max_msgs_per_subject == 1000


async def test_spans_of_another_version_are_holes_and_no_more(server: NatsServer) -> None:
    async with connect(settings(server), "router") as bus:
        async with request(bus) as span:
            await bus.client.publish(subjects.trace(ACME, span.trace_id), b'{"tenant": "acme", "spans": "unreadable"}')
            await bus.client.publish(subjects.trace(ACME, span.trace_id), b"\xff")
        assert set(await told(bus, span, "POST /tasks")) == {"POST /tasks"}


@dataclass
class Collector:
    """Takes OTLP as a real one does; first it refuses as often as it is told to."""

    refuses: list[web.Response] = field(default_factory=list)
    says: bytes = b""
    hangs: bool = False
    at: list[float] = field(default_factory=list)
    spans: list[Told] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.shown.append(request.headers.get("x-key", ""))
        self.at.append(asyncio.get_running_loop().time())
        if self.hangs:
            await asyncio.sleep(60)
        if self.refuses:
            return self.refuses.pop()
        for resource in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
            assert {pair.key: pair.value.string_value for pair in resource.resource.attributes} == {"service.name": "trunkline-router"}
            self.spans.extend(resource.scope_spans[0].spans)
        self.came.set()
        return web.Response(body=self.says, content_type=otlp.PROTOBUF)


@asynccontextmanager
async def collecting(collector: Collector) -> AsyncIterator[str]:
    site = web.Application()
    site.router.add_post("/v1/traces", collector.take)
    async with TestServer(site) as server:
        yield str(server.make_url("")).rstrip("/")


async def test_spans_leave_by_otlp_and_a_collector_that_stumbles_gets_them_again(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "PAUSE_S", 0.01)
    collector = Collector(refuses=[web.Response(status=503)])
    async with collecting(collector) as url:
        said = {"otlp_endpoint": url, "otlp_headers": "x-key=a%20key, other=1"}
        async with connect(settings(server, **said), "router") as bus, asyncio.timeout(10):
            async with request(bus) as span:
                span.state = f"vendor={SECRET}"
                with pytest.raises(Conflict), traces.child("step", n=1, word=SECRET):
                    raise Conflict("told nobody", code="BUSY")
            await collector.came.wait()
    step, whole = collector.spans
    assert (step.trace_id.hex(), step.parent_span_id.hex()) == (span.trace_id, whole.span_id.hex())
    assert (step.status.code, step.status.message) == (Status.STATUS_CODE_ERROR, "BUSY")
    assert {pair.key for pair in step.attributes} == {"trunkline.tenant", "n", "word"}
    assert SECRET not in str(step)
    assert (whole.trace_state, step.trace_state) == ("", "")
    assert whole.end_time_unix_nano >= step.end_time_unix_nano >= step.start_time_unix_nano >= whole.start_time_unix_nano
    assert collector.shown == ["a key", "a key"]


def ended(count: int) -> list[Span]:
    kept: list[Span] = []
    tracer = traces.Tracer("router", Sampler(1.0, 0.0), kept.append)
    for _ in range(count):
        with tracer.edge("GET /", traces.NO_HEADERS, writes=True) as span:
            span.keep()
    return kept


@asynccontextmanager
async def sending(collector: Collector, spans: int, until: int = 1) -> AsyncIterator[list[int]]:
    """What was dropped; inside, the collector was asked so often."""
    lost: list[int] = []
    async with collecting(collector) as url, asyncio.timeout(10), otlp.leaving(otlp.Collector(url), "router", lost.append) as away:
        away.take(ended(spans))
        while len(collector.at) < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield lost


async def test_a_collector_that_wants_to_be_left_alone_is_for_as_long_as_anybody_may_want(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "PAUSE_S", 0.001)
    monkeypatch.setattr(otlp, "LONGEST_PAUSE_S", 0.3)
    collector = Collector(refuses=[web.Response(status=503, headers={"Retry-After": "86400"})])
    async with sending(collector, 1, until=2) as lost:
        await collector.came.wait()
    assert (len(collector.spans), lost) == (1, [])
    assert 0.29 < collector.at[1] - collector.at[0] < 5


async def test_what_a_collector_does_not_take_is_counted_and_nothing_follows_where_it_leads() -> None:
    said = ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(rejected_spans=2, error_message="too old"))
    async with sending(Collector(says=said.SerializeToString()), 3) as lost:
        pass
    assert lost == [2]
    astray = Collector(refuses=[web.Response(status=307, headers={"Location": "/v1/traces"})])
    async with sending(astray, 3) as lost:
        pass
    assert (lost, len(astray.at)) == ([3], 1)


async def test_a_collector_that_hangs_holds_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WAITING", 10), ("AT_ONCE", 4), ("LAST_S", 0.05)):
        monkeypatch.setattr(otlp, name, value)
    async with sending(Collector(hangs=True), 100) as lost:
        assert lost == []
    assert lost == [4 + 6 + 90]


async def test_a_collector_that_is_away_costs_its_spans_and_nothing_else(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "PAUSE_S", 0.01)
    said = {"otlp_endpoint": f"http://127.0.0.1:{free_port()}", "metrics_port": free_port()}
    async with connect(settings(server, **said), "router") as bus, asyncio.timeout(10):
        async with request(bus) as span:
            pass
        assert "POST /tasks" in await told(bus, span, "POST /tasks")
        while not figure(bus, "trunkline_spans_dropped_total"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def figure(bus: Bus, name: str) -> float:
    text = bus.watch.meters.text().decode()  # type: ignore[attr-defined]  # counted, as there is a port
    return sum(sample.value for family in text_string_to_metric_families(text) for sample in family.samples if sample.name == name)


async def test_a_service_is_ready_while_it_hears_and_not_while_nats_server_or_a_consumer_is_away_or_it_drains() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    draining, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Ask) -> Accepted:
        draining.set()
        await go_on.wait()
        return Accepted(seq=1)

    with nats_server() as own:
        said = settings(own, metrics_port=port)
        async with asyncio.timeout(30), ClientSession(timeout=ClientTimeout(5)) as session, connect(settings(own), "test") as sender:

            async def ready() -> int:
                async with session.get(f"{url}/health/ready") as answer:
                    assert answer.status == (200 if json.loads(await answer.read())["ready"] else 503)
                    return answer.status

            async def until(status: int) -> None:
                while await ready() != status:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

            async def life(stop: asyncio.Event) -> None:
                async with connect(said, "router", health.beside(said, "router")) as bus:
                    bus.inlet.command("router", Ask, slow)
                    bus.inlet.timer("router", "sla", Due, lambda _: asyncio.sleep(0))
                    await bus.inlet.start("router")
                    up.set()
                    await stop.wait()

            async with asyncio.TaskGroup() as group:
                up, stop = asyncio.Event(), asyncio.Event()
                group.create_task(life(stop))
                await up.wait()
                await until(200)
                [sla] = [config for _, config in CONSUMERS if config.name == "due-router-sla"]
                await sender.client.jetstream().delete_consumer(TIMERS, "due-router-sla")
                await until(503)
                assert not await sender.commands.ping("router", 5.0)  # what the gateway's /health asks
                await sender.client.jetstream().add_consumer(TIMERS, sla)
                await until(200)
                assert await sender.commands.ping("router", 5.0)
                own.kill()
                await until(503)
                async with session.get(f"{url}/metrics", timeout=ClientTimeout(3)) as answer:
                    assert "trunkline_bus_connected 0.0" in await answer.text()
                await back(own, sender)
                await until(200)
                asking = group.create_task(sender.commands.send("router", "t1", Ask(tenant="acme", at=now())))
                await draining.wait()
                stop.set()
                await until(503)
                async with session.get(f"{url}/health/live") as answer:
                    assert answer.status == 200
                go_on.set()
                assert (await asking).seq == 1


async def test_a_port_that_is_taken_is_told_with_what_to_do(server: NatsServer) -> None:
    said = settings(server, metrics_port=free_port())
    async with connect(said, "router", health.beside(said, "router")):
        with pytest.raises(Conflict, match="Choose another metrics_port"):
            async with connect(said, "relay", health.beside(said, "relay")):
                pass
