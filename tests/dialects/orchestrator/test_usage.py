"""GET /usage: what models were asked and what it cost."""

from __future__ import annotations

from datetime import date

import pytest

from tests.dialects.world import World, talking
from trunkline.auth.principal import HOME, Principal, Role
from trunkline.contracts.ids import TenantId
from trunkline.contracts.usage import GetUsage

ANN = Principal(HOME, "ann", Role.USER)


async def test_each_model_of_each_day_is_told_and_unknown_is_null() -> None:
    async with talking(World(principal=ANN)) as session, session.get("/usage") as response:
        told = await response.json()
    assert response.status == 200
    known, unknown = told["usage"]
    assert (known["model"], known["cost_usd"], known["cached_tokens"]) == ("claude-sonnet-4-5", 0.0021, 600)
    assert (unknown["model"], unknown["cost_usd"], unknown["estimated"]) == (None, None, True)
    assert told["cost_usd"] == 0.0021


async def test_the_last_thirty_days_are_asked_for_unless_others_are_named() -> None:
    world = World(principal=ANN)
    async with talking(world) as session:
        await session.get("/usage")
        await session.get("/usage?since=2024-12-01&until=2024-12-31")
    usual, named = world.sent
    assert isinstance(usual, GetUsage) and isinstance(named, GetUsage)
    assert (usual.since, usual.until) == (date(2024, 12, 14), date(2025, 1, 12))
    assert (named.since, named.until) == (date(2024, 12, 1), date(2024, 12, 31))


async def test_another_tenant_is_asked_for_its_own() -> None:
    world = World(principal=Principal(TenantId("umbrella"), "eve", Role.ADMIN))
    async with talking(world) as session, session.get("/usage") as response:
        assert (await response.json())["usage"] == []
    assert world.sent[0].tenant == "umbrella"


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=2025-13-01", "until=2025-02-30", "since=2025-1-1", "since=2025-01-01&since=2025-01-02"]
)
async def test_a_day_that_is_none_is_refused(query: str) -> None:
    world = World(principal=ANN)
    async with talking(world) as session, session.get(f"/usage?{query}") as response:
        assert response.status in (400, 422)
        assert "detail" in await response.json()
    assert world.sent == []


async def test_a_stranger_sees_no_bill() -> None:
    async with talking(World()) as session, session.get("/usage") as response:
        assert response.status == 401
