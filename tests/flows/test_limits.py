"""Limits on a real nats-server: exact over several gateways in every window, told in headers, and known to fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import pytest
from aiohttp import ClientSession

from tests.flows.small_gateway import Small, back, limited, small, together
from trunkline.bus import Bus, BusAway, BusSettings, Hit, Refused, Rule, connect, key_of
from trunkline.testing.nats import NatsServer, nats_server

AGENT = {"Authorization": "Bearer agent:ann"}
pytestmark = pytest.mark.flow


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with connect(BusSettings(nats_url=server.url), "test") as bus:
        yield bus


@asynccontextmanager
async def gateways(server: NatsServer, count: int, **settings: object) -> AsyncIterator[list[ClientSession]]:
    async with AsyncExitStack() as stack:
        buses = [await stack.enter_async_context(connect(BusSettings(nats_url=server.url), f"g{n}")) for n in range(count)]
        yield [await stack.enter_async_context(small(Small(), await limited(bus, **settings))) for bus in buses]


def worst(admitted: list[tuple[float, float]], window: float) -> int:
    """The most that surely fell into any window: nats-server counted each between its question and its answer."""
    return max(sum(1 for asked, answered in admitted if begin <= asked and answered < begin + window) for begin, _ in admitted)


@pytest.mark.slow
async def test_four_gateways_never_let_in_more_than_the_limit_in_any_window_and_hardly_less(server: NatsServer) -> None:
    rule, key, lasting, admitted = Rule(50, 2), key_of("hot"), 8.0, list[tuple[float, float]]()
    offered: list[float] = []

    async def offer(bus: Bus, end: float) -> None:
        while time.monotonic() < end:
            offered.append(asked := time.monotonic())
            if isinstance(await bus.limits.hit(rule, key), Hit):
                admitted.append((asked, time.monotonic()))
            await asyncio.sleep(0.02)

    async with AsyncExitStack() as stack:
        buses = [await stack.enter_async_context(connect(BusSettings(nats_url=server.url), f"g{n}")) for n in range(4)]
        for bus in buses:
            await bus.limits.ensure([rule])
        end = time.monotonic() + lasting
        async with asyncio.TaskGroup() as group:
            for bus in buses:
                group.create_task(offer(bus, end))
    assert worst(admitted, rule.window_s) <= rule.limit
    idle = sum(gap for gap in (later - sooner for sooner, later in pairwise(offered)) if gap > 0.2)  # the machine's, not the limit's
    assert len(admitted) >= 0.8 * rule.limit * (lasting - idle) / rule.window_s


async def test_callers_do_not_count_for_each_other(bus: Bus) -> None:
    rule = Rule(3, 60)
    await bus.limits.ensure([rule])
    verdicts = await together(400, lambda n: bus.limits.hit(rule, key_of("many", str(n % 100))))
    assert sum(isinstance(verdict, Hit) for verdict in verdicts) == 300
    assert sum(isinstance(verdict, Refused) for verdict in verdicts) == 100


@pytest.mark.parametrize("seconds", [60, 3601], ids=["in memory", "on disk"])
async def test_what_names_itself_counts_once_also_when_the_window_is_full(bus: Bus, seconds: int) -> None:
    rule, key = Rule(2, seconds), key_of("named")
    await bus.limits.ensure([rule])
    for _ in range(3):
        assert isinstance(await bus.limits.hit(rule, key, id="first"), Hit)
    assert isinstance(await bus.limits.hit(rule, key, id="second"), Hit)
    assert isinstance(await bus.limits.hit(rule, key, id="third"), Refused)
    assert isinstance(await bus.limits.hit(rule, key, id="first"), Hit)


async def test_a_window_of_days_is_on_disk_and_outlives_a_restart(bus: Bus, server: NatsServer) -> None:
    rule, key = Rule(2, 86400), key_of("daily")
    await bus.limits.ensure([rule])
    assert [type(await bus.limits.hit(rule, key)) for _ in range(3)] == [Hit, Hit, Refused]
    await asyncio.sleep(0.5)  # kept without a sync of its own: what a power cut takes may take, a stop does not
    server.kill(15)
    server.start()
    assert isinstance(await patient_hit(bus, rule, key), Refused)


async def test_a_window_of_a_minute_begins_anew_when_nats_server_does(bus: Bus, server: NatsServer) -> None:
    rule, key = Rule(2, 60), key_of("minute")
    await bus.limits.ensure([rule])
    assert [type(await bus.limits.hit(rule, key)) for _ in range(3)] == [Hit, Hit, Refused]
    server.kill()
    server.start()
    assert isinstance(await patient_hit(bus, rule, key), Hit)
    verdicts = await together(10, lambda n: bus.limits.hit(rule, key))
    assert sum(isinstance(verdict, Hit) for verdict in verdicts) == 1


async def patient_hit(bus: Bus, rule: Rule, key: str) -> Hit | Refused:
    for _ in range(20):
        try:
            return await bus.limits.hit(rule, key)
        except BusAway:
            continue
    raise AssertionError("nats-server did not come back")


async def test_without_nats_server_a_hit_is_undecided(bus: Bus, server: NatsServer) -> None:
    rule = Rule(2, 60)
    await bus.limits.ensure([rule])
    server.kill()
    async with asyncio.timeout(15):
        with pytest.raises(BusAway):
            await bus.limits.hit(rule, key_of("x"))
    await back(server, bus)


async def test_the_headers_are_exact_over_two_gateways(server: NatsServer) -> None:
    seen = []
    async with gateways(server, 2, limits={"tasks.read": "6/minute"}) as sites:
        for turn in range(7):
            async with sites[turn % 2].get("/tasks", headers=AGENT) as response:
                seen.append((response.status, response.headers["X-RateLimit-Limit"], response.headers["X-RateLimit-Remaining"]))
                frees_in = int(response.headers["X-RateLimit-Reset"]) - time.time()
                assert 55 <= frees_in <= 62
    assert seen == [*((200, "6", str(left)) for left in (5, 4, 3, 2, 1, 0)), (429, "6", "0")]


async def test_a_refusal_says_how_long_it_lasts_and_keeps_its_word(server: NatsServer) -> None:
    async with gateways(server, 1, limits={"tasks.create": "2/2s"}) as (site,):
        assert (await site.post("/tasks", headers=AGENT)).status == 201
        for _ in range(50):  # on a machine that stands still, two seconds are over before the third
            if (await site.post("/tasks", headers=AGENT)).status == 429:
                break
        async with site.post("/tasks", headers=AGENT) as response:
            wait = int(response.headers["Retry-After"])
            assert response.status == 429
            assert wait in (1, 2, 3)
            assert await response.json() == {"detail": f"Rate limit exceeded. Try again in {wait} seconds.", "code": "RATE_LIMITED"}
        await asyncio.sleep(wait)
        assert (await site.post("/tasks", headers=AGENT)).status == 201


async def test_each_caller_has_a_window_of_its_own_for_each_limit(server: NatsServer) -> None:
    callers = ["agent:ann", "agent:bob", "agent:ann@acme"]
    async with gateways(server, 1, limits={"tasks.create": "1/minute", "tasks.read": "1/minute"}) as (site,):
        for caller in callers:
            headers = {"Authorization": f"Bearer {caller}"}
            posts = [(await site.post("/tasks", headers=headers)).status for _ in range(2)]
            reads = [(await site.get("/tasks", headers=headers)).status for _ in range(2)]
            assert (posts, reads) == ([201, 429], [200, 429])


async def test_whoever_runs_it_is_never_counted(server: NatsServer) -> None:
    async with gateways(server, 1, limits={"tasks.create": "1/minute"}) as (site,):
        for _ in range(3):
            async with site.post("/tasks", headers={"Authorization": "Bearer operator:me"}) as response:
                assert response.status == 201
                assert "X-RateLimit-Limit" not in response.headers


async def test_of_several_windows_the_tightest_is_told(server: NatsServer) -> None:
    async with gateways(server, 1, limits={"tasks.read": ["5/minute", "2/day"]}) as (site,):
        limits = []
        for _ in range(3):
            async with site.get("/tasks", headers=AGENT) as response:
                limits.append((response.status, response.headers["X-RateLimit-Limit"], response.headers["X-RateLimit-Remaining"]))
    assert limits == [(200, "2", "1"), (200, "2", "0"), (429, "2", "0")]


async def test_guessing_credentials_is_slow_for_an_address(server: NatsServer) -> None:
    far = {"X-Forwarded-For": "203.0.113.7"}
    settings = {"limits": {"auth.failures": "3/minute"}, "trusted_proxies": ["127.0.0.0/8"]}
    async with gateways(server, 2, **settings) as sites:
        wrong = {**far, "Authorization": "Bearer nonsense"}
        statuses = [(await sites[turn % 2].get("/tasks", headers=wrong)).status for turn in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        assert (await sites[0].get("/tasks", headers={**far, **AGENT})).status == 429
        looks = [(await sites[0].get("/open", headers=shown)).status for shown in (far, {**far, **AGENT})]
        assert looks == [200, 429], "a monitor that shows nothing guesses nothing"
        near = {"X-Forwarded-For": "203.0.113.8"}
        assert (await sites[0].get("/tasks", headers={**near, **AGENT})).status == 200


async def test_without_nats_server_writes_are_refused_and_reads_are_counted_here(server: NatsServer) -> None:
    settings = {"limits": {"tasks.read": "6/minute"}, "gateway_replicas": 2}
    async with gateways(server, 1, **settings) as (site,):
        assert (await site.get("/tasks", headers=AGENT)).status == 200
        server.kill()
        async with site.post("/tasks", headers=AGENT) as response:
            assert (response.status, (await response.json())["code"]) == (503, "LIMITS_AWAY")
            assert int(response.headers["Retry-After"]) >= 1
        reads = [await site.get("/tasks", headers=AGENT) for _ in range(4)]
        assert [read.status for read in reads] == [200, 200, 429, 429]
        assert [read.headers["X-RateLimit-Limit"] for read in reads] == ["3"] * 4
        assert 50 < int(reads[-1].headers["Retry-After"]) <= 61
        server.start()
        async with asyncio.timeout(20):
            while (status := (await site.post("/tasks", headers=AGENT)).status) == 503:  # noqa: ASYNC110 - nobody tells that it is back
                await asyncio.sleep(0.1)
        assert status == 201


async def test_limits_can_be_off(server: NatsServer) -> None:
    async with gateways(server, 1, rate_limits="off", limits={"tasks.create": "1/minute"}) as (site,):
        for _ in range(3):
            async with site.post("/tasks", headers=AGENT) as response:
                assert response.status == 201
                assert "X-RateLimit-Limit" not in response.headers


async def test_counting_and_looking_cost_one_question_each(bus: Bus) -> None:
    rule, key = Rule(10_000, 60), key_of("speed")
    await bus.limits.ensure([rule])
    before = bus.client.stats["out_msgs"]
    for _ in range(500):
        assert isinstance(await bus.limits.hit(rule, key), Hit)
        await bus.limits.look(rule, key)
    assert bus.client.stats["out_msgs"] - before <= 1001


async def test_a_flood_that_is_refused_does_not_reach_nats_server(bus: Bus) -> None:
    async with small(Small(), await limited(bus, limits={"tasks.create": "1/minute"})) as site:
        assert [(await site.post("/tasks", headers=AGENT)).status for _ in range(2)] == [201, 429]
        before = bus.client.stats["out_msgs"]
        answers = [await site.post("/tasks", headers=AGENT) for _ in range(50)]
        assert {(answer.status, answer.headers["X-RateLimit-Remaining"]) for answer in answers} == {(429, "0")}
        assert bus.client.stats["out_msgs"] == before


async def test_strangers_are_told_apart_by_their_address(server: NatsServer) -> None:
    settings = {"limits": {"tasks.create": "1/minute"}, "trusted_proxies": ["127.0.0.1"]}
    async with gateways(server, 1, **settings) as (site,):
        from_there = [
            {"X-Forwarded-For": address} for address in ("203.0.113.7", "203.0.113.7", "203.0.113.8", "2001:db8::1", "2001:db8::2")
        ]
        assert [(await site.post("/tasks", headers=headers)).status for headers in from_there] == [401, 429, 401, 401, 429]
