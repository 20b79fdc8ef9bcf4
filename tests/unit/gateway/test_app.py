"""What a request passes before its handler, and what cannot be built."""

from __future__ import annotations

import pytest
from aiohttp import web

from tests.flows.small_gateway import NOBODY, SPEC, Forgetful, Small, identify, small
from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline_gateway import app
from trunkline_gateway.adapters.limiter import Source, Unlimited
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import Ids, Route
from trunkline_gateway.pipeline import Pipeline
from trunkline_gateway.prefilter import Prefilter
from trunkline_gateway.settings import LIMITS


async def answer(request: web.Request, principal: Principal) -> web.Response:
    return web.Response(text=principal.subject)


def build(*routes: Route) -> None:
    app.build((Small(more=routes),), Pipeline(identify, NOBODY, Forgetful(), BodyReader()))


@pytest.mark.parametrize("path", ["/tasks", "/x/{other}", "/x/{id}"])
def test_two_routes_cannot_serve_one_method_on_one_path(path: str) -> None:
    with pytest.raises(RuntimeError, match="served twice"):
        build(Route("GET", "/x/{id}", Action.LOOK_AROUND, answer, SPEC), Route("GET", path, Action.LOOK_AROUND, answer, SPEC))


def test_what_only_looks_alike_can_stand_together() -> None:
    paths = ["/x/{id:[0-9]{1,3}}", "/x/{id:[a-z]+}", "/x/{id}/y", "/x"]
    build(*(Route("GET", path, Action.LOOK_AROUND, answer, SPEC) for path in paths), Route("PATCH", "/x", Action.UPDATE_TASK, answer, SPEC))


def test_a_head_of_its_own_is_one_too_many_beside_a_get() -> None:
    with pytest.raises(RuntimeError, match="served twice"):
        build(Route("HEAD", "/tasks", Action.LOOK_AROUND, answer, SPEC))


def test_a_route_without_a_rule_cannot_be_built() -> None:
    with pytest.raises(RuntimeError, match="no rule"):
        build(Route("GET", "/x", "anything", answer, SPEC))  # type: ignore[arg-type]


def test_a_limit_that_is_not_configured_cannot_be_built() -> None:
    with pytest.raises(RuntimeError, match=r"tasks\.crate"):
        build(Route("GET", "/x", Action.LOOK_AROUND, answer, SPEC, limit="tasks.crate"))


async def test_a_stranger_is_asked_for_a_credential_and_who_has_one_is_told_what_it_lacks() -> None:
    dialect = Small()
    async with small(dialect) as site:
        async with site.post("/tasks") as response:
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="trunkline"')
            assert (await response.json())["code"] == "AUTH_REQUIRED"
        async with site.post("/tasks", headers={"Authorization": "Bearer nonsense"}) as response:
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="trunkline"')
        async with site.post("/tasks", headers={"Authorization": "Bearer user:u"}) as response:
            assert (response.status, "WWW-Authenticate" in response.headers) == (403, False)
        assert (await site.post("/open")).status == 201
    assert len(dialect.made) == 1


async def test_a_flood_is_turned_away_before_it_is_even_asked_who_it_is() -> None:
    class Screened(Unlimited):
        def screen(self, address: str) -> float:
            return flood.wait(address, 0.0)

    flood = Prefilter(rate=0.5, burst=3)
    async with small(Small(), Screened(frozenset(LIMITS))) as site:
        for _ in range(3):
            assert (await site.get("/nowhere")).status == 404
        async with site.post("/tasks", headers={"Authorization": "Bearer nonsense"}) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "2")
            assert await response.json() == {"detail": "Rate limit exceeded. Try again in 2 seconds.", "code": "RATE_LIMITED"}


def test_loopback_is_never_a_flood_and_everybody_else_may_be() -> None:
    source = Source(prefilter=Prefilter(rate=1, burst=1))
    assert [source.screen("127.0.0.1") for _ in range(3)] == [0.0] * 3
    assert [source.screen("203.0.113.7") > 0 for _ in range(2)] == [False, True]
    assert Source().screen("203.0.113.7") == 0.0


def test_the_same_request_makes_the_same_ids_and_another_makes_others() -> None:
    seed, other = "01a1fe1a15477676b883dd25f2dda5a4", "01a1fe1a15477676b883dd25f2dda5a5"
    first, again, different = Ids(seed), Ids(seed), Ids(other)
    made = [first.task_id(), first.id(), first.id()]
    assert [again.task_id(), again.id(), again.id()] == made
    assert len({*made, different.id()}) == 4
    assert all(len(id) == 32 and id[:12] == seed[:12] and id[12] == "7" and id[16] in "89ab" for id in made)


def test_without_a_seed_every_id_is_new() -> None:
    assert len({Ids().id() for _ in range(100)}) == 100
