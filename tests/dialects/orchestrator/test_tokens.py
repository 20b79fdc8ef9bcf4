"""Tokens and identity at the orchestrator's surface: proof first, and never more than the proof is worth."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from tests.dialects.orchestrator.asking import ADMIN, AGENT, USER, calling, working
from tests.dialects.world import SECRET, World
from trunkline.auth.keys import KeyRing, entries
from trunkline.auth.principal import ANONYMOUS

WISH = {"user_id": "your-user-id", "role": "agent"}


@pytest.mark.parametrize("how", ["body", "header"])
async def test_the_secret_gets_any_token(how: str) -> None:
    world = World(principal=ANONYMOUS)
    async with calling(world) as caller:
        body, headers = (WISH | {"secret": SECRET}, {}) if how == "body" else (WISH, {"X-Orchestrator-Secret": SECRET})
        said = (await caller.ask("POST /auth/token", body, headers)).body
    claims = jwt.decode(said["access_token"], SECRET, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False})
    assert (claims["sub"], claims["role"]) == ("your-user-id", "agent")
    assert (said["token"], said["token_type"], said["expires_in"]) == (said["access_token"], "bearer", 86400)
    assert (said["role"], said["user_id"]) == ("agent", "your-user-id")


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        ({}, {}, 401),
        ({"secret": "wrong"}, {}, 401),
        ({"secret": SECRET}, {"X-Orchestrator-Secret": "other"}, 400),
        ({"secret": SECRET, "role": "root"}, {}, 400),
        ({"secret": SECRET, "role": ["admin"]}, {}, 422),
        ({"secret": SECRET, "user_id": 5}, {}, 422),
        ({"secret": SECRET, "user_id": ""}, {}, 400),
        ({"secret": SECRET, "user_id": None}, {}, 422),
        ({"secret": SECRET, "expires_in": 0}, {}, 400),
        ({"secret": SECRET, "expires_in": 10**9}, {}, 400),
        ({"secret": SECRET, "expires_in": 90_000}, {}, 400),
        ({"secret": SECRET, "expires_in": "60"}, {}, 422),
        ({"secret": SECRET, "tenant": "a.b"}, {}, 400),
        ({"secret": SECRET, "tenant": "acme", "expires_in": 60}, {}, 200),
    ],
)
async def test_a_stranger_needs_proof_and_sense(fields: dict[str, Any], headers: dict[str, str], status: int) -> None:
    async with calling(World(principal=ANONYMOUS)) as caller:
        answer = await caller.ask("POST /auth/token", WISH | fields, headers)
    assert answer.status == status, answer
    assert SECRET not in str(answer)


async def test_a_credential_mints_for_itself_and_not_above() -> None:
    world = working()
    async with calling(world) as caller:
        mine = {"user_id": AGENT.subject}
        asked = [(AGENT, mine | {"role": "agent"}), (AGENT, mine | {"role": "admin"}), (AGENT, WISH), (ADMIN, WISH), (USER, WISH)]
        found = []
        for who, wish in asked:
            world.principal = who
            found.append((await caller.ask("POST /auth/token", wish)).status)
    assert found == [200, 403, 403, 200, 403]


async def test_a_token_is_revoked_and_so_is_all_of_a_subject() -> None:
    world = World(principal=ANONYMOUS)
    async with calling(world) as caller:
        token = (await caller.ask("POST /auth/token", WISH | {"secret": SECRET})).body["token"]
        world.principal = ADMIN
        assert (await caller.ask("POST /auth/revoke", {"token": token})).body == {"success": True, "message": "Revoked"}
        assert (await caller.ask("POST /auth/revoke", {"user_id": "ann"})).status == 200
        assert (await caller.ask("POST /auth/revoke", {})).status == 422
        assert (await caller.ask("POST /auth/revoke", {"token": "x"})).status == 400
        assert (await caller.ask("POST /auth/revoke", {"token": token, "user_id": "ann"})).status == 400
        world.principal = USER
        assert (await caller.ask("POST /auth/revoke", {"user_id": "ann"})).status == 403
    assert len(world.roll.tokens) == 1
    assert [subject for _, subject in world.roll.subjects] == ["ann"]


async def test_a_key_is_revoked_as_a_token_is_by_its_text_or_with_its_subject() -> None:
    one, two, theirs = (f"k-{name}-0123456789abcdef" for name in ("one", "two", "theirs"))
    world = World(keys=KeyRing(entries({"ONE": f"{one}:agent", "TWO": f"{two}:agent", "THEIRS": f"{theirs}:agent:acme"})), principal=USER)
    async with calling(world) as caller:
        refused = await caller.ask("POST /auth/revoke", {"token": one})
        assert (refused.status, refused.detail) == (403, "only an admin revokes what others hold")
        world.principal = ADMIN
        unknown = await caller.ask("POST /auth/revoke", {"token": f"{one}x"})
        assert unknown == await caller.ask("POST /auth/revoke", {"token": theirs})
        assert (unknown.status, world.roll.tokens) == (400, [])
        for wish in ({"token": one}, {"token": one}, {"user_id": "two"}, {"user_id": "theirs"}):
            assert (await caller.ask("POST /auth/revoke", wish)).body == {"success": True, "message": "Revoked"}
    assert [token.principal.subject for token in world.roll.tokens] == ["one", "one", "two"]


async def test_everybody_can_ask_who_they_are() -> None:
    async with calling(working()) as caller:
        said = (await caller.ask("GET /auth/me")).body
    assert said == {"user_id": "dev-agent-1", "role": "agent", "tenant": "public", "tier": "authenticated"}
