"""What was sent to one's own webhooks: theirs who made them, to nobody else there at all, and sent again by nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientSession

from tests.dialects.hooks import answer_handshakes, send_in_vain
from tests.dialects.world import World, talking
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.ids import TenantId
from trunkline.contracts.message import Command
from trunkline.contracts.task import Assignment, TaskSubmitted, Visibility
from trunkline.contracts.webhook import AboutWebhook, DeliveryStatus, GetDelivery, Redeliver, RedeliverMany, RotateSecret

AT = "/api/pr-agent/webhooks"
URL = "https://your-server.com/webhook"
GUEST = Principal(HOME, "github:583231", Role.GUEST)
MISSING_HOOK, MISSING_SENT = f"wh_{'0' * 32}", f"dlv_{'f' * 40}"
ROUTES: dict[str, dict[str, Any] | None] = {
    "GET {hook}": None,
    "PATCH {hook}": {"events": ["*"]},
    "POST {hook}/rotate": {},
    "POST {hook}/verify": {},
    "GET {hook}/deliveries": None,
    "GET {hook}/deliveries/{sent}": None,
    "POST {hook}/deliveries/{sent}/redeliver": {},
    "POST {hook}/redeliver": {},
    "DELETE {hook}": None,
}
"""DELETE last: what it is asked for is gone then."""


async def asked(session: ClientSession, what: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    method, path = what.split(" ", 1)
    async with session.request(method, f"{AT}/{path}", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def one_delivery(world: World, session: ClientSession, **more: object) -> tuple[str, str]:
    """A webhook of the caller's that has answered its handshake, and what was sent to it in vain."""
    async with session.post(AT, json={"url": URL}) as answer:
        hook = (await answer.json())["id"]
    answer_handshakes(world.hooks, world.now())
    return hook, send_in_vain(world.hooks, world.now(), **more).id


@pytest.mark.parametrize("role", list(Role))
async def test_whoever_may_have_webhooks_of_its_own_may_do_all_of_it_to_them_and_others_nothing(role: Role) -> None:
    allowed = role in (Role.GUEST, Role.USER, Role.AGENT, Role.ADMIN)
    world = World(principal=Principal(HOME, "ann", Role.USER))
    async with talking(world) as session:
        hook, sent = await one_delivery(world, session)
        world.principal = ANONYMOUS if role is Role.ANONYMOUS else Principal(HOME, "ann", role)
        found = {}
        for what, body in ROUTES.items():
            answer_handshakes(world.hooks, world.now())
            found[what] = (await asked(session, what.format(hook=hook, sent=sent), body))[0]
    refused = {401} if role is Role.ANONYMOUS else {403}
    assert {*found.values()} == ({200, 202} if allowed else refused), found


@pytest.mark.parametrize("who", [Principal(HOME, "bob", Role.ADMIN), GUEST, Principal(TenantId("umbrella"), "ann", Role.USER)])
async def test_anothers_webhook_answers_exactly_as_one_that_is_not_there(who: Principal) -> None:
    world = World(principal=Principal(HOME, "ann", Role.USER))
    async with talking(world) as session:
        hook, sent = await one_delivery(world, session)
        before = world.hooks.hooks[hook]
        world.principal = who
        for what, body in ROUTES.items():
            foreign = await asked(session, what.format(hook=hook, sent=sent), body)
            missing = await asked(session, what.format(hook=MISSING_HOOK, sent=MISSING_SENT), body)
            assert foreign == missing and (foreign[0], foreign[1]["code"]) == (404, "WEBHOOK_NOT_FOUND"), what
    assert world.hooks.hooks[hook] == before
    assert all(command.owner == who.subject for command in about_webhooks(world.sent)[-18:])


async def test_a_webhook_of_the_tenant_is_none_of_ones_own_though_one_made_it() -> None:
    world = World(principal=Principal(HOME, "ann", Role.ADMIN))
    async with talking(world) as session:
        async with session.post("/webhooks", json={"url": URL, "events": ["*"], "verify": False}) as answer:
            hook = (await answer.json())["webhook_id"]
        sent = send_in_vain(world.hooks, world.now()).id
        for what, body in ROUTES.items():
            status, told = await asked(session, what.format(hook=hook, sent=sent), body)
            assert (status, told["code"]) == (404, "WEBHOOK_NOT_FOUND"), what
    assert hook in world.hooks.hooks


async def test_a_delivery_of_another_webhook_is_not_reached_through_ones_own() -> None:
    world = World(principal=GUEST)
    async with talking(world) as session:
        mine, _ = await one_delivery(world, session)
        world.principal = Principal(HOME, "ann", Role.USER)
        _, theirs = await one_delivery(world, session)
        world.principal = GUEST
        for what in ("GET {hook}/deliveries/{sent}", "POST {hook}/deliveries/{sent}/redeliver"):
            status, told = await asked(session, what.format(hook=mine, sent=theirs))
            assert (status, told["code"]) == (404, "DELIVERY_NOT_FOUND")
        _, listed = await asked(session, f"GET {mine}/deliveries")
    assert theirs not in str(listed) and not any(isinstance(command, Redeliver) for command in world.sent)


async def test_what_tells_of_a_job_that_the_caller_may_not_see_is_neither_shown_nor_sent_again() -> None:
    world = World(principal=GUEST)
    job = "0194589f6d0070008000000000000abc"
    theirs = Assignment(repo="acme/vault", surface="pr_agent", visibility=Visibility.OWNER)
    await world.say(job, TaskSubmitted(assignment=theirs, submitted_by="github:1", deadline_at=world.now()))
    async with talking(world) as session:
        hook, sent = await one_delivery(world, session, task_id=job)
        for what in (f"GET {hook}/deliveries/{sent}", f"POST {hook}/deliveries/{sent}/redeliver"):
            assert (await asked(session, what))[1]["code"] == "DELIVERY_NOT_FOUND"
        assert (await asked(session, f"GET {hook}/deliveries"))[1]["deliveries"] == []
    assert any(isinstance(command, GetDelivery) for command in world.sent)
    assert not any(isinstance(command, Redeliver) for command in world.sent)


async def test_deliveries_are_read_page_by_page_and_by_how_they_stand() -> None:
    world = World(principal=GUEST)
    async with talking(world) as session:
        hook, _ = await one_delivery(world, session)
        for _ in range(2):
            send_in_vain(world.hooks, world.now())
        send_in_vain(world.hooks, world.now(), status=DeliveryStatus.DELIVERED)
        status, first = await asked(session, f"GET {hook}/deliveries?limit=3")
        assert (status, first["count"], first["total"], first["limit"]) == (200, 3, 4, 3)
        _, rest = await asked(session, f"GET {hook}/deliveries?limit=3&cursor={first['nextCursor']}")
        assert (rest["count"], rest["nextCursor"]) == (1, None)
        assert len({one["id"] for one in (*first["deliveries"], *rest["deliveries"])}) == 4
        _, dead = await asked(session, f"GET {hook}/deliveries?status=dead")
    assert (dead["count"], dead["total"]) == (3, None)


async def test_a_rotation_repeated_with_its_key_rotates_once_and_its_secret_is_stored_nowhere() -> None:
    world = World(principal=GUEST)
    async with talking(world) as session:
        hook, _ = await one_delivery(world, session)
        wish = {"secret": "another secret, long enough"}
        told = [await asked(session, f"POST {hook}/rotate", wish, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert told[0] == told[1] and told[0][1]["secret"] == wish["secret"]
    assert len({command.rotation_id for command in world.sent if isinstance(command, RotateSecret)}) == 1
    assert wish["secret"] not in repr(world.memory)


async def test_nobody_has_an_address_of_its_own_believed() -> None:
    world = World(principal=GUEST)
    async with talking(world) as session:
        hook, _ = await one_delivery(world, session)
        _, told = await asked(session, f"PATCH {hook}", {"url": "https://elsewhere.example/", "verify": False})
    assert (told["url"], told["status"]) == ("https://elsewhere.example/", "pending")


@pytest.mark.parametrize(
    ("what", "body", "status", "code"),
    [
        ("PATCH {}", {"url": "http://your-server.com/"}, 400, "BAD_WEBHOOK_URL"),
        ("PATCH {}", {"url": 5}, 400, "BAD_WEBHOOK_URL"),
        ("PATCH {}", {"events": []}, 400, "BAD_WEBHOOK_EVENTS"),
        ("PATCH {}", {"enabled": "yes"}, 400, "INVALID_REQUEST"),
        ("PATCH {}", [], 400, "INVALID_JSON"),
        ("POST {}/rotate", {"secret": "short"}, 400, "BAD_WEBHOOK_SECRET"),
        ("POST {}/redeliver", {"status": "lost"}, 400, "INVALID_REQUEST"),
        ("POST {}/redeliver", {"since": "yesterday"}, 400, "INVALID_REQUEST"),
        ("POST {}/redeliver", {"since": 5}, 400, "INVALID_REQUEST"),
        ("GET {}/deliveries?status=lost", None, 400, "INVALID_REQUEST"),
        ("GET {}/deliveries?limit=101", None, 400, "INVALID_REQUEST"),
        ("GET {}/deliveries?limit=1_0", None, 400, "INVALID_REQUEST"),
        ("GET {}/deliveries?limit=1&limit=2", None, 400, "INVALID_REQUEST"),
        ("GET {}/deliveries?cursor=x", None, 400, "BAD_CURSOR"),
        ("GET {}/deliveries/dlv_1", None, 404, "DELIVERY_NOT_FOUND"),
        ("POST {}/deliveries/" + MISSING_SENT + "/redeliver", {}, 404, "DELIVERY_NOT_FOUND"),
        ("POST wh_1/rotate", {}, 404, "WEBHOOK_NOT_FOUND"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_its_code(what: str, body: Any, status: int, code: str) -> None:
    world = World(principal=GUEST)
    async with talking(world) as session:
        hook, _ = await one_delivery(world, session)
        said, told = await asked(session, what.format(hook), body)
    assert (said, told["code"], told["error"] == told["message"]) == (status, code, True), told
    assert not any(isinstance(command, RedeliverMany) for command in world.sent)


def about_webhooks(sent: list[Command]) -> list[AboutWebhook]:
    return [command for command in sent if isinstance(command, AboutWebhook)]
