"""Snapshots over HTTP: who may have them built again, and the log of a build as a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.dialects.boxes import IMAGE
from tests.dialects.omnis import OmniTerms
from tests.dialects.world import World, talking
from trunkline.auth.principal import HOME, Principal, Role
from trunkline.contracts.errors import Broken
from trunkline.contracts.image import Drop, ImageBuilt, ImageFailed, ImageInvalidated, ImageSaid, ImageStatus, ImageWanted, InvalidateImages

NAME = IMAGE.name


def small_world(role: Role = Role.AGENT) -> World:
    return World(omni=OmniTerms(), principal=Principal(HOME, "ann", role))


async def log_of(world: World, last: str = "") -> tuple[list[str], list[Any]]:
    headers = {"Last-Event-ID": last} if last else {}
    async with talking(world) as session, session.get("/api/snapshot/log", headers=headers) as answer:
        assert answer.status == 200
        lines = (await answer.text()).split("\n")
    ids = [line[4:] for line in lines if line.startswith("id: ")]
    said = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    return ids, [{name: value for name, value in body.items() if name != "ts"} for body in said]


async def built(world: World) -> None:
    older = "omni-snapshot-2026-11-21T04-00-00-000Z"
    await world.say(
        "image-1", ImageWanted(name=older, provider="local", digest="d"), ImageFailed(name=older, code="X", error="no"), tenant="public"
    )
    await world.say("image-1", ImageWanted(name=NAME, provider="local", digest="d"), tenant="public")
    await world.say("image-1", ImageSaid(name=NAME, lines=("line 1: FROM scratch", "hello")), tenant="public", part="build")


async def test_the_log_is_that_of_the_newest_build_and_ends_with_it() -> None:
    world = small_world()
    await built(world)
    await world.say("image-1", ImageBuilt(name=NAME), tenant="public")
    ids, said = await log_of(world)
    assert said == [
        {"type": "status", "snapshot": NAME, "status": "building"},
        {"type": "log", "snapshot": NAME, "data": "line 1: FROM scratch\nhello"},
        {"type": "done", "snapshot": NAME, "status": "ready"},
    ]
    assert (await log_of(world, ids[1]))[1] == said[2:]


async def test_a_build_that_failed_says_why() -> None:
    world = small_world()
    await built(world)
    await world.say("image-1", ImageFailed(name=NAME, code="DOCKERFILE_STEP_FAILED", error="line 2: it ended with 1"), tenant="public")
    _, said = await log_of(world)
    assert said[2:] == [
        {"type": "error", "snapshot": NAME, "code": "DOCKERFILE_STEP_FAILED", "message": "line 2: it ended with 1"},
        {"type": "done", "snapshot": NAME, "status": "error"},
    ]


async def test_a_build_that_counts_no_more_ends_its_log_too() -> None:
    world = small_world()
    await built(world)
    await world.say("image-1", ImageInvalidated(name=NAME, why=Drop.ASKED), tenant="public")
    assert (await log_of(world))[1][-1] == {"type": "done", "snapshot": NAME, "status": "none"}


async def test_where_nothing_was_built_there_is_no_log() -> None:
    world = small_world()
    world.boxes.image = IMAGE.model_copy(update={"name": "", "image_id": "", "status": ImageStatus.NONE})
    async with talking(world) as session, session.get("/api/snapshot/log") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "NOT_FOUND")
    async with talking(world) as session, session.get("/api/snapshot/log", headers={"Last-Event-ID": "x"}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_a_create_whose_snapshot_cannot_be_built_is_a_500_that_says_why() -> None:
    world = small_world()
    world.refusal = Broken("the snapshot cannot be built: line 2: it ended with 1", code="SNAPSHOT_BUILD_FAILED", retry_after=60)
    async with talking(world) as session, session.post("/api/sandbox/create", json={"userId": "u"}) as answer:
        error = (await answer.json())["error"]
        assert (answer.status, error["code"]) == (500, "SNAPSHOT_BUILD_FAILED") and "line 2" in error["message"]


@pytest.mark.parametrize(("role", "status"), [(Role.ANONYMOUS, 401), (Role.USER, 403), (Role.APPROVER, 403), (Role.AGENT, 200)])
async def test_only_whoever_may_have_sandboxes_may_have_their_snapshot_built_again(role: Role, status: int) -> None:
    world = small_world(role)
    async with talking(world) as session, session.post("/api/snapshot/invalidate") as answer:
        assert answer.status == status
    asked = [wish for wish in world.boxes.wished if isinstance(wish, InvalidateImages)]
    assert [wish.by for wish in asked] == (["ann"] if status == 200 else [])
