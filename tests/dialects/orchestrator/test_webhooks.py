"""Webhooks at the orchestrator's surface: secrets shown once, tenants as walls, bad input refused in words, and lists that are paged."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tests.dialects.hooks import MADE, answer_handshakes, send_in_vain
from tests.dialects.orchestrator.asking import ADMIN, AGENT, APPROVER, USER, Caller, calling
from tests.dialects.world import World
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.errors import Unsupported
from trunkline.contracts.ids import TenantId
from trunkline.contracts.webhook import DeliveryStatus, RegisterWebhook

URL = "https://example.com/hook"
WISH = {"url": URL, "events": ["job.completed"]}
NONE = f"wh_{'0' * 32}"
AWAY = Principal(TenantId("umbrella"), "admin-user", Role.ADMIN)


async def made(caller: Caller, **fields: object) -> str:
    answer = await caller.ask("POST /webhooks", {**WISH, **fields})
    assert answer.status == 201, answer
    return str(answer.body["webhook_id"])


async def test_a_secret_is_shown_when_it_is_made_and_never_again(caplog: pytest.LogCaptureFixture) -> None:
    world = World(principal=ADMIN)
    caplog.set_level(logging.DEBUG)
    async with calling(world) as caller:
        given = "a secret of my own, long enough"
        first = await caller.ask("POST /webhooks", {**WISH, "secret": given}, {"Idempotency-Key": "k-1"})
        assert first.body["secret"] == given
        hook = first.body["webhook_id"]
        rotated = await caller.ask(f"POST /webhooks/{hook}/rotate", headers={"Idempotency-Key": "k-2"})
        assert rotated.body["secret"] == MADE
        later = [await caller.ask(f"GET {path}") for path in ("/webhooks", f"/webhooks/{hook}", f"/webhooks/{hook}/deliveries")]
        later.append(await caller.ask(f"PATCH /webhooks/{hook}", {"events": ["*"]}))
        later.append(await caller.ask(f"POST /webhooks/{hook}/verify", headers={"Idempotency-Key": "k-3"}))
    said = json.dumps([answer.body for answer in later]) + repr(world.memory) + repr(world.sent) + caplog.text
    assert given not in said and MADE not in said


async def test_a_repeat_makes_no_second_webhook_and_rotates_once() -> None:
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        first, again = [await caller.ask("POST /webhooks", WISH, {"Idempotency-Key": "k"}) for _ in range(2)]
        assert (first, len(world.hooks.hooks)) == (again, 1)
        hook = first.body["webhook_id"]
        once, twice = [await caller.ask(f"POST /webhooks/{hook}/rotate", {}, {"Idempotency-Key": "k"}) for _ in range(2)]
        assert (once.body["webhook"]["secrets"], twice.body["webhook"]["secrets"]) == (2, 2)
        other = await caller.ask("POST /webhooks", {**WISH, "events": ["*"]}, {"Idempotency-Key": "k"})
    assert other.status == 422


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/hook", "https"),
        ("ftp://example.com/hook", "https"),
        ("file:///etc/passwd", "https"),
        ("//example.com/hook", "https"),
        ("example.com", "https"),
        ("https://", "host"),
        ("https:///hook", "host"),
        ("https://ann:pw@example.com/hook", "user"),
        ("https://ann@example.com/hook", "user"),
        ("https://example.com:22/hook", "port"),
        ("https://example.com:70000/hook", ""),
        ("https://example.com:port/hook", ""),
        ("https://127.0.0.1/hook", "public Internet"),
        ("https://localhost/hook", "machine"),
        ("https://hook.localhost./hook", "machine"),
        ("https://2130706433/hook", "usual way"),
        ("https://0x7f.1/hook", "usual way"),
        ("https://10.1.2.3/hook", ""),
        ("https://169.254.169.254/latest/meta-data", ""),
        ("https://100.64.0.1/hook", ""),
        ("https://[::1]/hook", ""),
        ("https://[fe80::1]/hook", ""),
        ("https://[::ffff:127.0.0.1]/hook", ""),
        ("https://[64:ff9b::7f00:1]/hook", ""),
        ("https://[::1/hook", ""),
        ("https://bücher.example/hook", "ASCII"),
        ("https://example.com/hook#part", "fragment"),
        ("https://example.com/a b", "ASCII"),
        ("https://example.com\\@127.0.0.1/", "ASCII"),
        ("https://example.com/\r\nHost: x", "ASCII"),
        (f"https://example.com/{'x' * 2100}", "2048"),
        ("", ""),
    ],
)
async def test_an_address_that_cannot_be_told_is_refused_with_why(url: str, says: str) -> None:
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        answer = await caller.ask("POST /webhooks", {**WISH, "url": url})
        hook = await made(caller)
        changed = await caller.ask(f"PATCH /webhooks/{hook}", {"url": url})
    assert (answer.status, changed.status, len(world.hooks.hooks)) == (400, 400, 1), answer
    assert says in answer.detail


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/a?b=c",
        "https://xn--bcher-kva.example/x",
        "https://93.184.216.34/",
        f"{URL}/{'x' * 1900}",
    ],
)
async def test_an_address_on_the_internet_is_taken_as_it_is(url: str) -> None:
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        answer = await caller.ask("POST /webhooks", {**WISH, "url": url})
    assert (answer.status, answer.body["webhook"]["url"]) == (201, url)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"url": None}, 422),
        ({"url": 5}, 422),
        ({"url": [URL]}, 422),
        ({"events": None}, 422),
        ({"events": []}, 400),
        ({"events": "job.completed"}, 422),
        ({"events": ["job.done"]}, 400),
        ({"events": ["evil.*"]}, 400),
        ({"events": ["job.*.x"]}, 400),
        ({"events": ["JOB.COMPLETED"]}, 400),
        ({"events": ["job.completed\n"]}, 400),
        ({"events": [5]}, 422),
        ({"events": ["*"] * 51}, 400),
        ({"secret": "short"}, 400),
        ({"secret": "whsec_c2hvcnQgYnV0IG5vdCBzaG9ydA"}, 400),
        ({"secret": "whsec_!!!!!!!!!!!!!!!!"}, 400),
        ({"secret": "x" * 257}, 400),
        ({"secret": 1}, 422),
        ({"description": "x" * 501}, 400),
        ({"verify": "no"}, 422),
        ({"owner": "somebody-else"}, 422),
        ({"tenant": "umbrella"}, 422),
    ],
)
async def test_what_is_no_webhook_is_refused_and_no_secret_is_said_again(fields: dict[str, Any], status: int) -> None:
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        answer = await caller.ask("POST /webhooks", {**WISH, **fields})
    assert (answer.status, world.hooks.hooks) == (status, {}), answer
    assert "!!!!" not in answer.detail and "xxxx" not in answer.detail


async def test_what_is_required_is_missed_by_its_name() -> None:
    async with calling(World(principal=ADMIN)) as caller:
        assert (await caller.ask("POST /webhooks", {"events": ["*"]})).detail == "url is required"
        assert (await caller.ask("POST /webhooks", {"url": URL})).detail == "events is required"


async def test_too_many_webhooks_are_a_conflict_and_those_of_people_use_none_of_them_up() -> None:
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        mine = await made(caller)
        own = {f"wh_{number}": world.hooks.hooks[mine].model_copy(update={"own_only": True}) for number in range(200)}
        world.hooks.hooks |= {id: hook.model_copy(update={"id": id, "owner": id}) for id, hook in own.items()}
        for _ in range(99):
            await made(caller)
        refused = await caller.ask("POST /webhooks", WISH)
        assert (refused.status, "100 webhooks" in refused.detail) == (409, True)
        counts = [(await caller.ask(f"GET /webhooks?limit=1{only}")).body["total"] for only in ("", "&own_only=false", "&own_only=true")]
        assert counts == [300, 100, 200]


async def test_a_secret_is_told_by_its_end_and_both_that_sign_by_until_when() -> None:
    async with calling(World(principal=ADMIN)) as caller:
        hook = await made(caller, secret="a secret of my own, long enough")
        first = (await caller.ask(f"GET /webhooks/{hook}")).body["webhook"]
        await caller.ask(f"POST /webhooks/{hook}/rotate")
        (second,) = (await caller.ask("GET /webhooks")).body["webhooks"]
    assert (first["secret_hint"], first["secrets"], first["signs_with_both_until"]) == ("ough", 1, None)
    assert (second["secret_hint"], second["secrets"]) == (MADE[-4:], 2)
    assert second["signs_with_both_until"] > second["updated_at"]


async def test_where_there_is_no_vault_the_refusal_says_what_to_set() -> None:
    world = World(principal=ADMIN, refusal=Unsupported("set TRUNKLINE_VAULT_KEY", code="NO_VAULT_KEY"))
    async with calling(world) as caller:
        answer = await caller.ask("POST /webhooks", WISH)
    assert (answer.status, answer.detail) == (422, "set TRUNKLINE_VAULT_KEY")


async def test_another_tenant_finds_nothing_of_it() -> None:
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        hook = await made(caller)
        answer_handshakes(world.hooks, world.now())
        sent = send_in_vain(world.hooks, world.now()).id
        world.principal = AWAY
        assert (await caller.ask("GET /webhooks")).body["total"] == 0
        for what in (
            "GET /webhooks/{}", "PATCH /webhooks/{}", "DELETE /webhooks/{}", "POST /webhooks/{}/rotate", "POST /webhooks/{}/verify",
            "GET /webhooks/{}/deliveries", "POST /webhooks/{}/redeliver", f"GET /webhooks/{{}}/deliveries/{sent}",
            f"POST /webhooks/{{}}/deliveries/{sent}/redeliver",
        ):  # fmt: skip
            body = None if what.startswith("GET") else {}
            foreign, missing = await caller.ask(what.format(hook), body), await caller.ask(what.format(NONE), body)
            assert foreign == missing and foreign.status == 404, what
    assert hook in world.hooks.hooks


@pytest.mark.parametrize("principal", [ANONYMOUS, USER, APPROVER, AGENT, Principal(HOME, "github:1", Role.GUEST)])
async def test_only_an_admin_says_who_is_told_what_a_tenant_does(principal: Principal) -> None:
    world = World(principal=principal)
    async with calling(world) as caller:
        refused = {
            (await caller.ask(what, {})).status for what in ("POST /webhooks", f"PATCH /webhooks/{NONE}", f"DELETE /webhooks/{NONE}")
        }
        looked = (await caller.ask("GET /webhooks")).status
    assert refused == {401 if principal is ANONYMOUS else 403}
    assert (looked == 200) is (principal.role is Role.AGENT)
    assert not any(isinstance(command, RegisterWebhook) for command in world.sent)


async def test_deliveries_are_paged_by_a_cursor_that_nobody_forges() -> None:
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        hook, other = await made(caller), await made(caller)
        answer_handshakes(world.hooks, world.now())
        sent = [send_in_vain(world.hooks, world.now()).id for _ in range(5)]
        path = f"GET /webhooks/{other}/deliveries?limit=2"
        found, cursor = list[str](), ""
        for _ in range(3):
            page = (await caller.ask(path + (f"&cursor={cursor}" if cursor else ""))).body
            found += [one["delivery_id"] for one in page["deliveries"]]
            cursor, last = page["next_cursor"] or cursor, page["next_cursor"]
        assert (found, last, page["total"]) == (sent[::-1], None, 5)
        for forged in (cursor[:-2] + "AA", "x", "Mg"):
            assert (await caller.ask(f"{path}&cursor={forged}")).status == 400
        assert (await caller.ask(f"GET /webhooks/{hook}/deliveries?limit=2&cursor={cursor}")).status == 400
        assert (await caller.ask(f"{path}&status=dead&cursor={cursor}")).status == 400


async def test_webhooks_are_paged_too() -> None:
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        hooks = [await made(caller) for _ in range(3)]
        first = (await caller.ask("GET /webhooks?limit=2")).body
        rest = (await caller.ask(f"GET /webhooks?limit=2&cursor={first['next_cursor']}")).body
    assert [one["webhook_id"] for one in (*first["webhooks"], *rest["webhooks"])] == hooks[::-1]
    assert (first["total"], rest["count"], rest["next_cursor"]) == (3, 1, None)


async def test_deliveries_are_chosen_by_how_they_stand_and_sent_again() -> None:
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        hook = await made(caller)
        pending = await caller.ask(f"POST /webhooks/{hook}/redeliver")
        assert pending.status == 409
        answer_handshakes(world.hooks, world.now())
        dead = send_in_vain(world.hooks, world.now()).id
        good = send_in_vain(world.hooks, world.now(), status=DeliveryStatus.DELIVERED, answer=None, history=(), task_id="").id
        listed = (await caller.ask(f"GET /webhooks/{hook}/deliveries?status=delivered")).body["deliveries"]
        assert (await caller.ask(f"GET /webhooks/{hook}/deliveries?status=delivered")).body["total"] is None
        assert [(one["delivery_id"], one["answer"], one["last_answer"], one["task_id"]) for one in listed] == [(good, None, None, None)]
        again = await caller.ask(f"POST /webhooks/{hook}/deliveries/{dead}/redeliver")
        assert (again.status, again.body["delivery"]["status"]) == (202, "pending")
        assert (await caller.ask(f"POST /webhooks/{hook}/redeliver", {"since": "2030-01-01T00:00:00Z"})).body["count"] == 0
        assert (await caller.ask(f"POST /webhooks/{hook}/redeliver", {"status": "delivered"})).body["count"] == 1


@pytest.mark.parametrize(
    ("what", "body", "status"),
    [
        ("GET /webhooks/{}/deliveries?status=lost", None, 400),
        ("GET /webhooks/{}/deliveries?limit=0", None, 400),
        ("GET /webhooks/{}/deliveries?limit=101", None, 400),
        ("GET /webhooks/{}/deliveries?limit=ten", None, 422),
        ("GET /webhooks?limit=0", None, 400),
        ("GET /webhooks?own_only=maybe", None, 400),
        ("POST /webhooks/{}/redeliver", {"since": "yesterday"}, 400),
        ("POST /webhooks/{}/redeliver", {"status": "lost"}, 400),
        ("POST /webhooks/{}/redeliver", {"until": "2030-01-01T00:00:00Z"}, 422),
        ("POST /webhooks/{}/rotate", {"secret": "short"}, 400),
        ("POST /webhooks/{}/verify", {"now": True}, 422),
        ("PATCH /webhooks/{}", {"enabled": "yes"}, 422),
        ("PATCH /webhooks/{}", {"secret": "not here but by rotate"}, 422),
        ("GET /webhooks/wh_1", None, 404),
        ("GET /webhooks/{}/deliveries/dlv_1", None, 404),
    ],
)
async def test_what_cannot_be_asked_is_refused(what: str, body: object, status: int) -> None:
    world = World(principal=ADMIN)
    async with calling(world) as caller:
        hook = await made(caller)
        assert (await caller.ask(what.format(hook), body)).status == status
