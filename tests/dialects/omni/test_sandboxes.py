"""Sandboxes over HTTP: created, looked at, listed, stopped, started and deleted, and every refusal as its document says."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession

from tests.dialects.omni.hearing import KEY
from tests.dialects.omnis import OmniTerms
from tests.dialects.world import World, talking
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.auth.signing_keys import hashed
from trunkline.contracts.errors import Invalid
from trunkline.contracts.sandbox import EnsureSandbox, SandboxStatus
from trunkline_gateway.dialects.omni import encode

ANN = Principal(HOME, "ann", Role.AGENT)
USERS = ("user-1", "a/b/../c", "a.*.>", "x" * 1024, "☃")


def small_world(principal: Principal = ANN) -> World:
    return World(omni=OmniTerms(), principal=principal)


async def post(session: ClientSession, verb: str, body: Any, status: int = 200) -> Any:
    async with session.post(f"/api/sandbox/{verb}", json=body) as answer:
        said = await answer.json()
        assert answer.status == status, said
        return said


async def get(session: ClientSession, verb: str, code: int = 200, **query: str) -> Any:
    async with session.get(f"/api/sandbox/{verb}", params=query) as answer:
        said = await answer.json()
        assert answer.status == code, said
        return said


async def test_a_sandbox_lives_and_dies() -> None:
    async with talking(small_world()) as session:
        made = await post(session, "create", {"userId": "user-1"})
        assert made.keys() == {"sandboxId", "status"} and made["status"] == "creating"
        id = made["sandboxId"]
        await get(session, "status", id=id)
        standing = await get(session, "status", id=id)
        assert standing == {"sandboxId": id, "status": "ready", "createdAt": standing["createdAt"]} and standing["createdAt"] > 1e12
        assert (await post(session, "create", {"userId": "user-1"}))["sandboxId"] == id
        assert await post(session, "stop", {"sandboxId": id}) == {"sandboxId": id, "status": "stopped"}
        assert await post(session, "start", {"sandboxId": id}) == {"sandboxId": id, "status": "ready"}
        assert await post(session, "delete", {"sandboxId": id}) == {"sandboxId": id, "status": "deleted"}
        assert (await get(session, "status", 404, id=id))["error"]["code"] == "SANDBOX_NOT_FOUND"


@pytest.mark.parametrize("user", USERS)
async def test_users_may_be_called_anything_of_up_to_a_kibibyte(user: str) -> None:
    world = small_world()
    async with talking(world) as session:
        await post(session, "create", {"userId": user})
    (wish,) = world.boxes.wished
    assert isinstance(wish, EnsureSandbox) and wish.user == user and wish.sandbox_id.startswith("sbx-")


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("create", {}),
        ("create", {"userId": ""}),
        ("create", {"userId": 7}),
        ("create", {"userId": "nul\0"}),
        ("create", {"userId": "x" * 1025}),
        ("create", {"userId": "ghp_" + "a1B2" * 9}),
        ("create", {"userId": "u", "cpus": -1}),
        ("create", {"userId": "u", "cpus": 1e9}),
        ("create", {"userId": "u", "idleSeconds": 1e99}),
        ("create", {"userId": "u", "ttlSeconds": 1e99}),
        ("create", {"userId": "u", "egress": "mirror.example"}),
        ("stop", {}),
        ("stop", {"sandboxId": "a.b"}),
        ("start", {"sandboxId": "*"}),
        ("delete", {"sandboxId": ""}),
    ],
)
async def test_what_is_wrong_is_refused_before_anything_is_asked(verb: str, body: dict[str, Any]) -> None:
    world = small_world()
    async with talking(world) as session:
        error = (await post(session, verb, body, 400))["error"]
    assert error["code"] == "VALIDATION_ERROR" and not world.boxes.wished


@pytest.mark.parametrize(
    ("verb", "query"),
    [
        ("status", {}),
        ("status", {"id": ">"}),
        ("list", {"limit": "0"}),
        ("list", {"status": "gone"}),
        ("list", {"label": "x"}),
        ("usage", {"day": "x"}),
        ("usage", {"day": "20261332"}),
    ],
)
async def test_a_query_that_is_wrong_is_refused(verb: str, query: dict[str, str]) -> None:
    async with talking(small_world()) as session:
        assert (await get(session, verb, 400, **query))["error"]["code"] == "VALIDATION_ERROR"


async def test_a_start_that_fails_is_said_to_have_failed() -> None:
    world = small_world()
    async with talking(world) as session:
        id = (await post(session, "create", {"userId": "u"}))["sandboxId"]
        assert (await post(session, "start", {"sandboxId": id}, 409))["error"]["code"] == "SANDBOX_NOT_READY"
        await post(session, "stop", {"sandboxId": id})
        world.boxes.starts = SandboxStatus.ERROR
        assert (await post(session, "start", {"sandboxId": id}, 500))["error"]["code"] == "SANDBOX_RESTART_FAILED"
        assert (await post(session, "start", {"sandboxId": id}, 409))["error"]["code"] == "SANDBOX_NOT_READY"


def test_what_is_too_large_is_named_as_the_caller_named_it() -> None:
    refused = encode.refusal(Invalid("the memory in MiB is at most 2048 here", code="SANDBOX_TOO_LARGE", field="memory_mb", most=2048))
    assert isinstance(refused.body, bytes) and b'"field":"memoryMb"' in refused.body


async def test_a_cap_is_a_limit() -> None:
    world = small_world()
    world.boxes.cap = 0
    async with talking(world) as session:
        error = (await post(session, "create", {"userId": "u"}, 429))["error"]
    assert (error["code"], error["details"]["reason"]) == ("RATE_LIMITED", "SANDBOX_CAP")


async def test_a_list_is_of_the_callers_own() -> None:
    world = small_world()
    async with talking(world) as session:
        await post(session, "create", {"userId": "a", "labels": {"team": "core"}, "ttlSeconds": 60})
        page = await get(session, "list", userId="a", label="team=core")
        assert (page["total"], page["next"], page["sandboxes"][0]["labels"]) == (1, None, {"team": "core"})
        assert (await get(session, "usage"))["minutes"] == 1.5
        mine = page["sandboxes"][0]["sandboxId"]
        assert await get(session, "list", id=mine) == page and (await get(session, "list", id="sbx-none"))["total"] == 0
        world.principal = Principal(HOME, "bob", Role.AGENT)
        assert (await get(session, "list"))["total"] == 0 and (await get(session, "list", id=mine))["total"] == 0
        assert (await get(session, "status", 404, id=page["sandboxes"][0]["sandboxId"]))["error"]["code"] == "SANDBOX_NOT_FOUND"
        world.principal = Principal(HOME, "root", Role.ADMIN)
        assert (await get(session, "list"))["total"] == 1


@pytest.mark.parametrize(("role", "status"), [(Role.ANONYMOUS, 401), (Role.USER, 403), (Role.APPROVER, 403), (Role.AGENT, 200)])
async def test_only_whoever_may_work_may_have_a_sandbox(role: Role, status: int) -> None:
    async with talking(small_world(Principal(HOME, "somebody", role))) as session:
        await post(session, "create", {"userId": "u"}, status)


async def test_who_is_not_allowed_is_told_who_is() -> None:
    async with talking(small_world(Principal(HOME, "somebody", Role.USER))) as session:
        said = (await post(session, "create", {"userId": "u"}, 403))["error"]
    assert said["message"] == "the role user does not allow sandbox.use; show a credential of the role agent or admin"


@pytest.mark.parametrize(("dev", "status"), [(False, 403), (True, 200)])
@pytest.mark.parametrize("shown", [KEY, hashed(KEY)])
async def test_the_signing_key_reads_and_makes_no_sandbox_but_in_development(shown: str, dev: bool, status: int) -> None:
    world = World(omni=OmniTerms(signing_keys=(KEY,), dev=dev), principal=ANONYMOUS)
    headers = {"Authorization": f"Bearer {shown}"}
    async with talking(world) as session:
        async with session.post("/api/sandbox/create", json={"userId": "u"}, headers=headers) as answer:
            assert answer.status == status, await answer.text()
        async with session.get("/api/sandbox/list", headers=headers) as answer:
            assert answer.status == 200
        async with session.post(
            "/v1/realtime/token", json=[{"channel": "tasks", "name": "update", "kind": "run"}], headers=headers
        ) as answer:
            assert answer.status == 201


async def test_in_development_whoever_shows_nothing_may_have_a_sandbox() -> None:
    async with talking(World(omni=OmniTerms(dev=True), principal=ANONYMOUS)) as session:
        await post(session, "create", {"userId": "u"})
        assert (await get(session, "list"))["total"] == 1
