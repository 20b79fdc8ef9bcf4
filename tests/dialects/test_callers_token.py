"""A caller's own token at both surfaces: vaulted before the task is submitted, told to nobody, refused where it cannot be kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialects.orchestrator.asking import AGENT, calling, working
from tests.dialects.world import World, talking
from trunkline.auth.principal import HOME, Principal, Role
from trunkline.contracts.errors import Invalid, Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.task import SubmitTask

EXECUTE = "/api/pr-agent/execute"
GOOD = {"repo": "acme/shop", "task": "Fix it"}
TOKEN = "ghp_" + "a1B2" * 9
CLASSIC = "0123456789abcdef" * 2 + "01234567"
FINE = "github_pat_" + "A1b2C3d4_" * 4


def submitted(world: World) -> list[SubmitTask]:
    return [command for command in world.sent if isinstance(command, SubmitTask)]


async def executed(world: World, body: dict[str, Any] | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
    async with talking(world) as session, session.post(EXECUTE, json={**GOOD, **(body or {})}, headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("body", "bearer", "kept"),
    [
        ({"githubToken": TOKEN}, "", TOKEN),
        ({"githubToken": "any.word-of_8+"}, "", "any.word-of_8+"),
        ({}, TOKEN, TOKEN),
        ({}, CLASSIC, CLASSIC),
        ({}, FINE, FINE),
        ({"githubToken": FINE}, FINE, FINE),
        ({"githubToken": None}, TOKEN, TOKEN),
        ({"githubToken": ""}, "", None),
        ({}, "", None),
    ],
)
async def test_a_job_has_the_token_of_its_body_or_of_a_bearer_that_looks_like_one(
    body: dict[str, Any], bearer: str, kept: str | None
) -> None:
    world = World()
    status, said = await executed(world, body, **({"Authorization": f"Bearer {bearer}"} if bearer else {}))
    assert status == 200, said
    [command] = submitted(world)
    assert list(world.vault.secrets.values()) == ([kept] if kept else [])
    assert command.assignment.credential == (command.task_id if kept else None)
    assert world.vault.secrets.keys() == ({(HOME, command.task_id)} if kept else set())
    assert not (kept and kept in repr(world.sent) + repr(world.events) + repr(said))


@pytest.mark.parametrize("bearer", ["ours.or.anybodys", "ghp_ with a space"])
async def test_a_bearer_that_is_nobodys_is_refused_beside_a_token_too(bearer: str) -> None:
    world = World()
    status, said = await executed(world, {"githubToken": FINE}, Authorization=f"Bearer {bearer}")
    assert (status, said["code"], submitted(world), world.vault.secrets) == (401, "AUTH_REQUIRED", [], {})


async def test_a_caller_of_ours_gives_the_forges_token_beside_its_own() -> None:
    world = World(principal=AGENT)
    assert (await executed(world, {"githubToken": FINE}, Authorization="Bearer ours.or.anybodys"))[0] == 200
    assert list(world.vault.secrets.values()) == [FINE]


async def test_two_different_tokens_are_refused_and_neither_is_repeated() -> None:
    world = World()
    status, said = await executed(world, {"githubToken": FINE}, Authorization=f"Bearer {TOKEN}")
    assert (status, said["code"], submitted(world)) == (400, "AMBIGUOUS_CREDENTIALS", [])
    assert FINE not in str(said)
    assert TOKEN not in str(said)


@pytest.mark.parametrize("token", ["short", "two words", "a-line\nmore", "umlaut-\u00e4\u00f6\u00fc", "x" * 1001])
async def test_what_cannot_be_a_token_is_refused_and_not_repeated(token: str) -> None:
    world = World()
    status, said = await executed(world, {"githubToken": token})
    assert (status, said["code"]) == (400, "INVALID_REQUEST" if len(token) > 1000 else "INVALID_GITHUB_TOKEN")
    assert token not in str(said)
    assert (submitted(world), world.vault.secrets) == ([], {})


@pytest.mark.parametrize("way", ["body", "bearer"])
async def test_a_gateway_without_a_key_refuses_a_token_and_takes_jobs_without(way: str) -> None:
    world = World()
    world.vault.open = False
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    status, said = await (executed(world, {"githubToken": TOKEN}) if way == "body" else executed(world, **bearer))
    assert (status, said["code"], submitted(world)) == (422, "NO_VAULT_KEY", [])
    assert said["error"] == said["message"]
    assert (await executed(world))[0] == 200


async def test_the_token_is_struck_out_of_what_comes_beside_it() -> None:
    world, token = World(), "odd-looking-token-1"
    beside = {"task": f"use {token} please", "metadata": {"taskTitle": f"with {token}"}}
    assert (await executed(world, {**beside, "githubToken": token}))[0] == 200
    [command] = submitted(world)
    assert command.assignment.prompt == "use [redacted:github-token] please"
    assert token not in repr(world.sent) + repr(world.events)


async def test_a_refused_task_leaves_no_token_and_one_that_may_be_there_keeps_it() -> None:
    world = World(refusal=Invalid("no", code="NO"))
    assert (await executed(world, {"githubToken": TOKEN}))[0] == 400
    assert world.vault.secrets == {}
    world = World(refusal=Unavailable("nobody answers"))
    assert (await executed(world, {"githubToken": TOKEN}))[0] == 503
    assert list(world.vault.secrets.values()) == [TOKEN]


async def test_a_request_that_is_repeated_with_its_key_puts_one_token_in_and_its_memory_holds_none() -> None:
    world = World()
    async with talking(world) as session:
        for _ in range(2):
            async with session.post(EXECUTE, json={**GOOD, "githubToken": TOKEN}, headers={"Idempotency-Key": "k-1"}) as response:
                assert response.status == 200
    assert len(submitted(world)) == len(world.vault.secrets) == 1
    assert TOKEN not in repr(world.memory)


async def test_another_token_under_the_same_key_is_another_request() -> None:
    world = working()
    async with calling(world) as caller:
        key = {"Idempotency-Key": "k-1"}
        assert (await caller.ask("POST /tasks", TASK, key)).status == 200
        for token in (TOKEN, "short", ""):
            assert (await caller.ask("POST /tasks", TASK, {**key, "X-GitHub-Token": token})).status == 422
    assert TOKEN not in repr(world.memory)


TASK = {"type": "bugfix", "payload": {"description": "Fix it"}, "metadata": {"repo": "acme/shop"}}


async def test_a_task_for_agents_elsewhere_takes_no_token_and_says_so() -> None:
    world = working()
    async with calling(world) as caller:
        said = await caller.ask("POST /tasks", TASK, {"X-GitHub-Token": TOKEN})
    assert said.status == 400
    assert "agents elsewhere" in said.detail
    assert (world.vault.secrets, TOKEN in repr(world.events)) == ({}, False)


@pytest.mark.parametrize("token", ["", "short", "two words", "x" * 1001])
async def test_a_header_that_cannot_be_a_token_is_refused(token: str) -> None:
    world = working()
    async with calling(world) as caller:
        said = await caller.ask("POST /tasks", TASK, {"X-GitHub-Token": token})
    assert (said.status, said.detail) == (400, "X-GitHub-Token must be one word of 8 to 1000 visible ASCII characters")
    assert not token or token not in str(said.body)


async def test_an_orchestrator_without_a_key_refuses_the_header() -> None:
    world = working()
    world.vault.open = False
    async with calling(world) as caller:
        said = await caller.ask("POST /tasks", TASK, {"X-GitHub-Token": TOKEN})
        assert (said.status, said.detail) == (422, "no key")
        assert (await caller.ask("POST /tasks", TASK)).status == 200


async def test_each_tenant_has_its_own_place_in_the_vault() -> None:
    world = World()
    world.principal = Principal(TenantId("globex"), "bob", Role.AGENT)
    assert (await executed(world, {"githubToken": TOKEN}))[0] == 200
    world.principal = AGENT
    assert (await executed(world, {"githubToken": FINE}))[0] == 200
    assert {tenant: token for (tenant, _), token in world.vault.secrets.items()} == {"globex": TOKEN, HOME: FINE}
