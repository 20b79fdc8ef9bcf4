"""What comes in wrong: credentials that are none, tickets that are not what they should be, names of any kind and length."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt as pyjwt
import pytest
import structlog
from aiohttp import ClientSession

from tests.dialects.omni.hearing import KEY, hearing, signer, token
from tests.dialects.omni.stories import TASK, runs_ill, submitted
from tests.dialects.omnis import OmniTerms
from tests.dialects.world import BEGAN, SECRET, World, talking
from trunkline.auth.principal import HOME, Principal, Role
from trunkline.auth.signing_keys import hashed

OTHER_KEY = "signkey-test-" + "fedcba9876543210" * 4
ANN = Principal(HOME, "ann", Role.USER)
ASKED = [{"channel": "tasks", "name": "update", "kind": "run"}]
NOW = int(BEGAN.timestamp())


async def minted(session: ClientSession, **headers: str) -> tuple[int, dict[str, Any]]:
    async with session.post("/v1/realtime/token", json=ASKED, headers=headers) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("shown", [KEY, hashed(KEY)])
async def test_the_signing_key_gets_a_token_raw_or_hashed(shown: str) -> None:
    async with talking(World(omni=OmniTerms(signing_keys=(KEY, OTHER_KEY)))) as session:
        assert (await minted(session, Authorization=f"Bearer {shown}"))[0] == 201
        assert (await minted(session, Authorization=f"Bearer {hashed(OTHER_KEY)}"))[0] == 201, "the fallback counts too"


@pytest.mark.parametrize("shown", ["", "Bearer ", f"Bearer {OTHER_KEY}", f"Bearer {hashed(OTHER_KEY)}", "Bearer x", "Basic eDp5"])
async def test_nothing_else_gets_one(shown: str) -> None:
    async with talking(World(omni=OmniTerms(signing_keys=(KEY,)))) as session:
        status, said = await minted(session, **({"Authorization": shown} if shown else {}))
    assert status == 401
    assert said["error"]["code"] in ("AUTH_REQUIRED", "BAD_TOKEN")


async def test_in_development_nothing_has_to_be_shown_but_what_is_shown_must_be_right() -> None:
    async with talking(World(omni=OmniTerms(dev=True))) as session:
        assert (await minted(session))[0] == 201
        assert (await minted(session, Authorization=f"Bearer {hashed(KEY)}"))[0] == 201, "nobody set a key: an SDK may show any"
        assert (await minted(session, Authorization="Bearer something"))[0] == 401
    async with talking(World(omni=OmniTerms(dev=True, signing_keys=(OTHER_KEY,)))) as session:
        assert (await minted(session, Authorization=f"Bearer {KEY}"))[0] == 401


def login() -> str:
    return signer().mint(ANN, 600).text


def expired() -> str:
    return signer(seconds=-700).mint_ticket("realtime", ANN, {"channel": "tasks", "topics": ["update"]}, 600).text


def forged() -> str:
    stranger = signer("another secret of thirty-two bytes or more")
    return stranger.mint_ticket("realtime", ANN, {"channel": "tasks", "topics": ["update"]}, 600).text


def tampered() -> str:
    """What it says is changed, and its signature is not."""
    head, body, signature = expired().split(".")
    said = {**json.loads(base64.urlsafe_b64decode(body + "==")), "exp": NOW + 600, "topics": ["update", "status"]}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip('=')}.{signature}"


def of_another_kind() -> str:
    return signer().mint_ticket("timeline", ANN, {"channel": "tasks", "topics": ["update"]}, 600).text


def unsigned() -> str:
    claims = {"sub": "ann", "tenant": HOME, "channel": "tasks", "topics": ["update"], "exp": NOW + 600}
    return pyjwt.encode(claims, "", algorithm="none", headers={"typ": "realtime+jwt"})


def with_a_role() -> str:
    claims = {"sub": "ann", "tenant": HOME, "role": "admin", "channel": "tasks", "topics": ["update"], "exp": NOW + 600}
    return pyjwt.encode(claims, SECRET, algorithm="HS256", headers={"typ": "realtime+jwt"})


def without_topics() -> str:
    return signer().mint_ticket("realtime", ANN, {"channel": "tasks"}, 600).text


def without_an_end() -> str:
    claims = {"sub": "ann", "tenant": HOME, "channel": "tasks", "topics": ["update"]}
    return pyjwt.encode(claims, SECRET, algorithm="HS256", headers={"typ": "realtime+jwt"})


@pytest.mark.parametrize("made", [login, expired, forged, tampered, of_another_kind, unsigned, with_a_role, without_topics, without_an_end])
async def test_only_a_ticket_of_ours_for_realtime_lets_anybody_in(made: Any) -> None:
    async with talking(World()) as session:
        for way in ("connect", "sse"):
            async with session.get(f"/v1/realtime/{way}", params={"token": made()}) as answer:
                said = await answer.json()
                assert (answer.status, said["error"]["code"]) == (401, "TOKEN_EXPIRED" if made is expired else "BAD_TOKEN")
                assert "WWW-Authenticate" in answer.headers


async def test_a_ticket_is_no_login() -> None:
    async with talking(World(omni=OmniTerms(signing_keys=(KEY,)))) as session:
        ticket = await token(session)
        assert (await minted(session, Authorization=f"Bearer {ticket}"))[0] == 401
    with pytest.raises(Exception, match="typ"):
        signer().verify(ticket)


async def test_a_ticket_lives_an_hour_at_most() -> None:
    async with talking(World(omni=OmniTerms(signing_keys=(KEY,)))) as session:
        claims = pyjwt.decode(await token(session), options={"verify_signature": False})
    assert claims["exp"] - NOW == 3600
    assert claims["tenant"] == HOME
    assert (claims["channel"], claims["topics"]) == ("tasks", ["update", "status"])
    assert "role" not in claims


async def test_a_request_that_is_no_websocket_is_told_so() -> None:
    async with talking(World(omni=OmniTerms(dev=True))) as session:
        query = {"token": await token_in_dev(session)}
        async with session.get("/v1/realtime/connect", params=query) as answer:
            assert (answer.status, (await answer.json())["error"]["details"]) == (400, {"reason": "NOT_A_WEBSOCKET"})


async def token_in_dev(session: ClientSession) -> str:
    return str((await minted(session))[1]["jwt"])


@pytest.mark.parametrize("last", ["", "x", "k3v9-1", "k3v9-1_0_0", "k3v9-99999999999999999999_0", "\u0661-1_0", "a" * 101])
async def test_an_event_id_that_is_none_is_refused(last: str) -> None:
    async with talking(World(omni=OmniTerms(dev=True))) as session:
        query = {"token": await token_in_dev(session), "lastEventId": last}
        async with session.get("/v1/realtime/sse", params=query) as answer:
            assert answer.status == (400 if last else 200)


@pytest.mark.parametrize("name", ["a/b", "a.b", "*", ">", "../../x", "x" * 1024, "\u4e16" * 341, "a b\u00a0c", "'; drop table"])
async def test_names_of_any_kind_are_kept_as_they_are(name: str) -> None:
    world = World(principal=ANN)
    await world.say(TASK, submitted(name))
    async with talking(world) as session:
        async with hearing(session, signer().mint_ticket("realtime", ANN, {"channel": "tasks", "topics": ["update"]}, 60).text) as heard:
            await runs_ill(world)
            frames = await heard.until(3)
        assert {frame["data"]["taskId"] for frame in frames} == {name}
        async with session.get("/api/task/results", params={"taskId": name}) as answer:
            assert (answer.status, (await answer.json())["taskId"]) == (200, name)


@pytest.mark.parametrize(
    "wish",
    [
        {"channel": "x" * 1025, "name": "update"},
        {"channel": "", "name": "update"},
        {"channel": "tasks", "name": 7},
        {"channel": "tasks", "name": "update", "since": -1},
        {"channel": "tasks", "name": "update", "since": 2**53},
        {"channel": "tasks", "name": "update", "since": 2**70},
        {"channel": "tasks", "name": "update", "history": "yes"},
        {"channel": "\u4e16" * 1001, "name": "update"},
    ],
)
async def test_a_wish_that_cannot_be_is_refused(wish: dict[str, Any]) -> None:
    async with talking(World(omni=OmniTerms(dev=True))) as session, session.post("/v1/realtime/token", json=[wish]) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_no_ticket_is_in_the_log() -> None:
    world = World(omni=OmniTerms(signing_keys=(KEY,)))
    with structlog.testing.capture_logs() as lines:
        async with talking(world) as session:
            ticket = await token(session)
            async with hearing(session, ticket):
                pass
            async with session.get("/v1/realtime/sse", params={"token": ticket[:-4]}) as answer:
                assert answer.status == 401
    assert lines
    assert ticket[:20] not in str(lines)
    assert KEY not in str(lines)


ORIGIN = "https://app.example.com"


async def test_pages_of_other_origins_get_nothing_unless_they_are_named() -> None:
    before = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with talking(World(omni=OmniTerms(dev=True))) as session:
        async with session.options("/v1/realtime/token", headers=before) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
        status, said = await minted(session, Origin=ORIGIN)
        assert (status, said["error"]["code"]) == (403, "ORIGIN_NOT_ALLOWED")
        assert said["error"]["details"]["setting"] == "cors_origins", "the setting that opens this surface alone"
        assert "TRUNKLINE_CORS_ORIGINS" in said["error"]["message"]
        assert "allowed_hosts" not in said["error"]["message"]
        async with session.post("/tasks", json={}, headers={"Origin": ORIGIN}) as answer:
            assert "allowed_hosts" in await answer.text(), "elsewhere no page of another origin is let in by cors_origins"


async def test_a_named_origin_may_ask_the_surface_and_nothing_else() -> None:
    before = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with talking(World(omni=OmniTerms(dev=True, cors_origins=(ORIGIN,)))) as session:
        async with session.options("/v1/realtime/token", headers=before) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert "POST" in answer.headers["Access-Control-Allow-Methods"]
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
            assert answer.headers["Vary"] == "Origin"
        async with session.post("/v1/realtime/token", json=ASKED, headers={"Origin": ORIGIN}) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (201, ORIGIN)
        async with session.get("/api/sandbox/nothing", headers={"Origin": ORIGIN}) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (404, ORIGIN)
        async with session.post("/v1/realtime/token", json=ASKED, headers={"Origin": "https://evil.example"}) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
        async with session.options("/tasks", headers=before) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
