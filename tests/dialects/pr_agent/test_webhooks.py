"""Webhooks of the open surface: only one's own jobs, only one's own webhooks, and errors in the shape of the document."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialects.world import World, talking
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.ids import TenantId
from trunkline.contracts.webhook import RegisterWebhook

AT = "/api/pr-agent/webhooks"
WISH = {"url": "https://your-server.com/webhook", "events": ["job.completed", "job.failed"], "secret": "your-webhook-secret"}
GUEST = Principal(HOME, "github:583231", Role.GUEST)
ROLES = [Role.GUEST, Role.USER, Role.AGENT, Role.ADMIN]


@pytest.mark.parametrize("role", ROLES)
async def test_whoever_has_jobs_of_its_own_hears_of_those_alone(role: Role) -> None:
    world = World(principal=Principal(HOME, "ann", role))
    async with talking(world) as session, session.post(AT, json=WISH) as answer:
        told = await answer.json()
        assert (answer.status, told["secret"], told["secretHint"]) == (201, WISH["secret"], "cret")
    (command,) = world.sent
    assert isinstance(command, RegisterWebhook)
    assert (command.owner, command.own_only, command.surface, command.verify) == ("ann", True, "pr_agent", True)


@pytest.mark.parametrize("principal", [ANONYMOUS, Principal(HOME, "eve", Role.APPROVER)])
@pytest.mark.parametrize("what", ["POST", "GET", "DELETE"])
async def test_whoever_can_have_none_is_let_in_nowhere(principal: Principal, what: str) -> None:
    world = World(principal=principal)
    path = AT if what != "DELETE" else f"{AT}/wh_{'0' * 32}"
    async with talking(world) as session, session.request(what, path, json=WISH if what == "POST" else None) as answer:
        told = await answer.json()
    stranger = principal is ANONYMOUS
    assert (answer.status, told["code"], world.sent) == (401 if stranger else 403, "AUTH_REQUIRED" if stranger else "DENIED", [])


async def test_a_webhook_of_the_tenant_is_out_of_reach_here_whoever_made_it() -> None:
    world = World(principal=Principal(HOME, "ann", Role.ADMIN))
    async with talking(world) as session:
        async with session.post("/webhooks", json=WISH) as answer:
            hook = (await answer.json())["webhook_id"]
        world.principal = Principal(HOME, "ann", Role.USER)
        async with session.get(AT) as answer:
            assert (await answer.json())["webhooks"] == []
        for method in ("GET", "DELETE"):
            async with session.request(method, f"{AT}/{hook}") as answer:
                assert (answer.status, (await answer.json())["code"]) == (404, "WEBHOOK_NOT_FOUND")
    assert hook in world.hooks.hooks


async def test_another_tenants_subject_of_the_same_name_finds_nothing() -> None:
    world = World(principal=GUEST)
    async with talking(world) as session:
        async with session.post(AT, json=WISH) as answer:
            hook = (await answer.json())["id"]
        world.principal = Principal(TenantId("umbrella"), GUEST.subject, Role.USER)
        async with session.delete(f"{AT}/{hook}") as answer:
            assert answer.status == 404
    assert hook in world.hooks.hooks


async def test_a_repeat_with_its_key_makes_no_second_one_and_nothing_of_the_secret_is_stored() -> None:
    world = World(principal=GUEST)
    async with talking(world) as session:
        answers = []
        for _ in range(2):
            async with session.post(AT, json=WISH, headers={"Idempotency-Key": "k"}) as answer:
                answers.append(await answer.json())
    assert (answers[0], len(world.hooks.hooks)) == (answers[1], 1)
    assert str(WISH["secret"]) not in repr(world.memory)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"url": None}, "BAD_WEBHOOK_URL", "url"),
        ({"url": 5}, "BAD_WEBHOOK_URL", "url"),
        ({"url": "http://your-server.com/webhook"}, "BAD_WEBHOOK_URL", None),
        ({"url": "https://ann:pw@your-server.com/"}, "BAD_WEBHOOK_URL", None),
        ({"url": "https://192.168.0.1/"}, "BAD_WEBHOOK_URL", None),
        ({"url": "https://localhost/"}, "BAD_WEBHOOK_URL", None),
        ({"url": f"https://your-server.com/{'x' * 2100}"}, "BAD_WEBHOOK_URL", "url"),
        ({"events": []}, "BAD_WEBHOOK_EVENTS", "events"),
        ({"events": "job.completed"}, "BAD_WEBHOOK_EVENTS", "events"),
        ({"events": ["job.done"]}, "BAD_WEBHOOK_EVENTS", None),
        ({"events": ["Job.Completed"]}, "BAD_WEBHOOK_EVENTS", "events.0"),
        ({"secret": "short"}, "BAD_WEBHOOK_SECRET", "secret"),
        ({"secret": 123456789012345678}, "BAD_WEBHOOK_SECRET", "secret"),
        ({"secret": "whsec_not base64 at all"}, "BAD_WEBHOOK_SECRET", None),
    ],
)
async def test_what_is_no_webhook_is_refused_by_its_code(fields: dict[str, Any], code: str, field: str | None) -> None:
    world = World(principal=GUEST)
    async with talking(world) as session, session.post(AT, json={**WISH, **fields}) as answer:
        told = await answer.json()
    assert (answer.status, told["code"], world.hooks.hooks) == (400, code, {}), told
    assert told["error"] == told["message"] and "not base64 at all" not in told["error"]
    assert field is None or told["details"]["field"] == field


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"secret": "short"}, "secret must have 16 to 256 characters"),
        ({"secret": "x" * 257}, "secret must have 16 to 256 characters"),
        ({"events": []}, "events must name 1 to 50 events"),
        ({"events": ["task.*"] * 51}, "events must name 1 to 50 events"),
    ],
)
async def test_too_little_and_too_much_are_refused_in_words_of_ours(fields: dict[str, Any], said: str) -> None:
    async with talking(World(principal=GUEST)) as session, session.post(AT, json={**WISH, **fields}) as answer:
        assert (await answer.json())["error"] == said


@pytest.mark.parametrize("id", ["wh_1", "x", f"wh_{'A' * 32}", f"wh_{'0' * 33}", "%2e%2e"])
async def test_what_can_be_no_webhook_is_not_found_without_asking(id: str) -> None:
    world = World(principal=GUEST)
    async with talking(world) as session, session.get(f"{AT}/{id}") as answer:
        assert (answer.status, world.sent) == (404, [])
