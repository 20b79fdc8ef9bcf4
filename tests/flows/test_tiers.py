"""Tiers on a real nats-server: exact by address and by fingerprint at once, over several gateways, and nothing lost to a refusal."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.flows.small_gateway import limited, together
from trunkline.bus import Bus, BusSettings, Hit, Refused, Rule, connect, key_of
from trunkline.contracts.errors import Unavailable
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_gateway.adapters import admission
from trunkline_gateway.adapters.limiter import BusLimiter

NAME = "execute.anonymous"
pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def shared() -> AsyncIterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
async def buses(shared: NatsServer) -> AsyncIterator[list[Bus]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connect(BusSettings(nats_url=shared.url), f"g{n}")) for n in range(3)]


async def limiters(buses: list[Bus], *windows: str) -> list[BusLimiter]:
    found = [await limited(bus, limits={NAME: windows}) for bus in buses]
    return [one for one in found if isinstance(one, BusLimiter)]


async def let_in(limiter: BusLimiter, *callers: str, id: str = "") -> bool:
    counted = await limiter.admit(NAME, callers, id=id)
    assert counted
    return counted.retry_after is None


async def test_a_burst_of_one_caller_over_three_gateways_gets_exactly_one_in(buses: list[Bus]) -> None:
    gateways = await limiters(buses, "1/minute", "2/hour", "3/day")
    verdicts = await together(30, lambda n: let_in(gateways[n % 3], "@burst", "#burst"))
    assert verdicts.count(True) == 1
    left = await gateways[0].standing(NAME, ["@burst", "#burst"])
    assert {seconds: quota.remaining for seconds, quota in left.items()} == {60: 0, 3600: 1, 86400: 2}


async def test_what_a_fingerprint_refuses_takes_no_place_of_the_address(buses: list[Bus]) -> None:
    gateways = await limiters(buses, "2/minute", "20/hour")
    verdicts = await together(24, lambda n: let_in(gateways[n % 3], f"@a{n % 12}", "#everybody"))
    assert verdicts.count(True) == 2
    again = await together(24, lambda n: let_in(gateways[n % 3], f"@a{n % 12}", f"#own{n}"))
    assert again.count(True) == 2 * 12 - 2


async def test_of_many_addresses_and_fingerprints_none_has_too_much_and_hardly_any_too_little(buses: list[Bus]) -> None:
    gateways, chance = await limiters(buses, "2/minute", "3/hour"), random.Random(5)
    wishes = [(f"@m{chance.randrange(25)}", f"#m{chance.randrange(25)}") for _ in range(250)]
    admitted: Counter[str] = Counter()

    async def one(number: int) -> None:
        if await let_in(gateways[number % 3], *wishes[number]):
            admitted.update(wishes[number])

    await together(len(wishes), one)
    ideal: Counter[str] = Counter()
    for wish in wishes:
        if all(ideal[name] < 2 for name in wish):
            ideal.update(wish)
    assert max(admitted.values()) <= 2
    assert admitted.total() >= 0.9 * ideal.total()


async def test_a_request_that_comes_again_under_its_id_counts_once_also_when_it_filled_the_window(buses: list[Bus]) -> None:
    gateways = await limiters(buses, "1/minute", "2/hour")
    assert [await let_in(gateways[n], "@again", "#again", id="job-1") for n in (0, 1, 2)] == [True] * 3
    assert not await let_in(gateways[1], "@again", "#again", id="job-2")
    left = await gateways[2].standing(NAME, ["@again"])
    assert {seconds: quota.remaining for seconds, quota in left.items()} == {60: 0, 3600: 1}


async def test_what_was_given_back_is_counted_again_under_the_same_id(buses: list[Bus]) -> None:
    gateways = await limiters(buses, "1/minute")
    assert await let_in(gateways[0], "#full")
    assert not await let_in(gateways[0], "@early", "#full", id="job")
    assert await let_in(gateways[0], "@early", id="job")
    assert not await let_in(gateways[1], "@early"), "the hit that was given back must not have let it in for nothing"


async def test_a_job_that_could_not_be_begun_takes_no_place_anywhere(buses: list[Bus]) -> None:
    gateways = await limiters(buses, "1/minute", "2/hour")
    for n in range(4):
        counted = await gateways[n % 3].admit(NAME, ["@unlucky", "#unlucky"], id="unlucky" if n % 2 else "")
        assert counted and counted.retry_after is None
        await gateways[n % 3].give_back(counted)
    left = await gateways[0].standing(NAME, ["@unlucky", "#unlucky"])
    assert {seconds: quota.remaining for seconds, quota in left.items()} == {60: 1, 3600: 2}


async def test_what_came_before_under_the_same_id_is_not_given_back(buses: list[Bus]) -> None:
    gateways = await limiters(buses, "1/minute")
    assert await let_in(gateways[0], "@before", id="before")
    again = await gateways[1].admit(NAME, ["@before"], id="before")
    assert again and again.retry_after is None
    await gateways[1].give_back(again)
    assert not await let_in(gateways[2], "@before")


async def test_a_hit_that_is_given_back_makes_room(buses: list[Bus]) -> None:
    limits, rule, key = buses[0].limits, Rule(1, 60), key_of("given")
    await limits.ensure([rule])
    hit = await limits.hit(rule, key)
    assert isinstance(hit, Hit)
    assert await limits.holds(rule, hit)
    assert isinstance(await limits.hit(rule, key), Refused)
    await limits.give_back(rule, hit)
    assert not await limits.holds(rule, hit)
    assert isinstance(await limits.hit(rule, key), Hit)
    await limits.give_back(rule, hit)


async def test_a_refusal_says_when_every_window_has_room(buses: list[Bus]) -> None:
    gateways = await limiters(buses, "1/minute", "2/hour")
    assert await let_in(gateways[0], "@waits")
    for name in ("@other", "@third"):
        assert await let_in(gateways[0], name, "#waits") is (name == "@other")
    counted = await gateways[1].admit(NAME, ["@waits", "#waits"])
    assert counted
    assert counted.retry_after
    assert 50 < counted.retry_after <= 61
    assert (await counted.quota()).remaining == 0


async def test_a_flood_that_is_refused_is_answered_from_memory(buses: list[Bus], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "BELIEVED", 60.0)
    (gateway, *_) = await limiters(buses, "1/minute")
    assert [await let_in(gateway, "@flood") for _ in range(2)] == [True, False]

    async def asked(*_: object, **__: object) -> None:
        raise AssertionError("nats-server need not be asked")

    monkeypatch.setattr(buses[0].limits, "look", asked)
    assert [await let_in(gateway, "@flood", "#new") for _ in range(50)] == [False] * 50


async def test_without_nats_server_nobody_starts_a_job_and_no_place_is_lost() -> None:
    with nats_server() as server:
        async with connect(BusSettings(nats_url=server.url), "g") as bus:
            (gateway,) = await limiters([bus], "1/hour", "9/day")
            server.kill()
            with pytest.raises(Unavailable) as away:
                await gateway.admit(NAME, ["@away", "#away"])
            assert away.value.code == "LIMITS_AWAY"
            server.start()
            async with asyncio.timeout(20):
                while not await admitted_now(gateway):  # noqa: ASYNC110 (looked at from outside)
                    await asyncio.sleep(0.1)


async def admitted_now(gateway: BusLimiter) -> bool:
    try:
        return await let_in(gateway, "@away", "#away")
    except Unavailable:
        return False
