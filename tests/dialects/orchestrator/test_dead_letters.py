"""Dead letters at the orchestrator's surface: walls between tenants, bad edits refused in words, signed pages, no second repeat."""

from __future__ import annotations

import json

import pytest

from tests.dialects.dead_letters import TASK, TIMER, TRIGGER, WEBHOOK, some_given_up
from tests.dialects.orchestrator.asking import ADMIN, AGENT, APPROVER, USER, calling
from tests.dialects.world import World
from trunkline.auth.principal import ANONYMOUS, Principal, Role
from trunkline.contracts.ids import TenantId
from trunkline.contracts.letters import RequeueLetter

AWAY = Principal(TenantId("umbrella"), "admin-user", Role.ADMIN)
NONE = f"task.{'0' * 32}"


def given_up(who: Principal = ADMIN) -> World:
    world = World(principal=who)
    some_given_up(world.letters, world.now())
    return world


@pytest.mark.parametrize("who", [AGENT, APPROVER, USER, ANONYMOUS], ids=lambda who: who.role)
async def test_whoever_does_not_run_the_house_sees_none(who: Principal) -> None:
    async with calling(given_up(who)) as caller:
        for what in ("GET /dead-letters", f"GET /dead-letters/{TASK}", f"POST /dead-letters/{TASK}/requeue", "POST /dead-letters/requeue"):
            assert (await caller.ask(what)).status in (401, 403)


async def test_what_another_tenant_has_is_answered_as_what_is_not_there() -> None:
    async with calling(given_up(AWAY)) as caller:
        assert (await caller.ask("GET /dead-letters")).body["letters"] == []
        for letter in (TASK, TRIGGER, WEBHOOK, TIMER):
            asked = [f"GET /dead-letters/{letter}", f"POST /dead-letters/{letter}/requeue", f"POST /dead-letters/{letter}/discard"]
            for foreign in asked:
                body = {"reason": "no"} if foreign.endswith("discard") else None
                missing = await caller.ask(foreign.replace(letter, NONE), body)
                assert await caller.ask(foreign, body) == missing
                assert missing.status == 404


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"prompt": " "}, "edit.prompt"),
        ({"prompt": 7}, "edit"),
        ({"payload": []}, "edit"),
        ({"priority": "P9"}, "edit"),
        ({"executor": "bus"}, "edit"),
        ({"body": {}}, "body of this letter cannot be edited, only payload, prompt, priority, metadata can"),
    ],
)
async def test_an_edit_that_makes_no_sense_is_refused_by_name(edit: object, says: str) -> None:
    world = given_up()
    async with calling(world) as caller:
        answer = await caller.ask(f"POST /dead-letters/{TASK}/requeue", {"edit": edit})
    assert answer.status in (400, 422)
    assert says in answer.detail


TYPED = {
    "type": "bugfix", "surface": "orchestrator", "payload": {"title": "Fix it.", "repo": "acme/shop"}, "prompt": "Fix it.",
    "repo": "acme/shop", "max_retries": 0, "metadata": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"metadata": {"max_retries": 99}}, "max_retries"),
        ({"metadata": {"executor": "nobody"}}, "executor"),
        ({"metadata": {"branch": "a..b"}}, "metadata.branch"),
        ({"payload": {"repo": "acme/shop", "title": "x" * (129 << 10)}}, "payload says more"),
    ],
)
async def test_an_edit_is_judged_as_the_door_of_its_task_would_have(edit: object, says: str) -> None:
    world = given_up()
    world.letters.every[0] = world.letters.every[0].model_copy(update={"body": TYPED})
    async with calling(world) as caller:
        alone = await caller.ask(f"POST /dead-letters/{TASK}/requeue", {"edit": edit})
        among = await caller.ask("POST /dead-letters/requeue", {"ids": [TASK], "edit": edit})
    assert alone.status in (400, 422) and says in alone.detail
    assert says in among.body["results"][0]["detail"], "of many it is said for each"
    assert not [wish for wish in world.sent if isinstance(wish, RequeueLetter)]


async def test_what_the_door_read_out_of_a_payload_is_read_out_of_an_edited_one() -> None:
    world = given_up()
    world.letters.every[0] = world.letters.every[0].model_copy(update={"body": TYPED})
    edit = {"payload": {"title": "Fix that.", "repo": "acme/till"}, "metadata": {"max_retries": 2, "branch": "next"}}
    async with calling(world) as caller:
        assert (await caller.ask("POST /dead-letters/requeue", {"kind": "task", "edit": edit})).body["count"] == 1
    (wish,) = [wish for wish in world.sent if isinstance(wish, RequeueLetter)]
    assert wish.edit
    assert (wish.edit.prompt, wish.edit.repo, wish.edit.branch, wish.edit.max_retries) == ("Fix that.", "acme/till", "next", 2)


async def test_secrets_are_struck_on_the_way_in_and_out() -> None:
    world = given_up()
    secret = "ghp_" + "a" * 36
    world.letters.every[0] = world.letters.every[0].model_copy(update={"why": f"no entry with {secret}", "body": {"prompt": secret}})
    async with calling(world) as caller:
        shown = [await caller.ask(f"GET /dead-letters{path}") for path in ("", f"/{TASK}")]
        shown.append(
            await caller.ask(f"POST /dead-letters/{TASK}/requeue", {"edit": {"prompt": f"use {secret}", "payload": {"t": secret}}})
        )
    assert secret not in json.dumps([answer.body for answer in shown])
    (wish,) = [wish for wish in world.sent if isinstance(wish, RequeueLetter)]
    assert secret not in wish.model_dump_json()


async def test_a_repeat_with_its_key_is_the_same_wish() -> None:
    world = given_up()
    async with calling(world) as caller:
        first, again = [await caller.ask(f"POST /dead-letters/{TASK}/requeue", {}, {"Idempotency-Key": "k"}) for _ in range(2)]
        assert (first.status, first) == (202, again)


async def test_pages_go_on_by_a_cursor_that_holds_for_the_same_filters_and_tenant() -> None:
    world = given_up()
    async with calling(world) as caller:
        seen, query = list[str](), ""
        while True:
            page = await caller.ask(f"GET /dead-letters?limit=1{query}")
            seen += [letter["letter_id"] for letter in page.body["letters"]]
            if not page.body["next_cursor"]:
                break
            query = f"&cursor={page.body['next_cursor']}"
        assert seen == [TASK, TRIGGER, WEBHOOK, TIMER]
        cursor = (await caller.ask("GET /dead-letters?limit=1")).body["next_cursor"]
        assert (await caller.ask(f"GET /dead-letters?limit=1&kind=task&cursor={cursor}")).status == 400
        world.principal = AWAY
        assert (await caller.ask(f"GET /dead-letters?limit=1&cursor={cursor}")).status == 400


async def test_many_are_bounded_and_only_those_that_are_open() -> None:
    world = given_up()
    async with calling(world) as caller:
        assert (await caller.ask("POST /dead-letters/requeue", {"ids": [TASK] * 101})).status in (400, 422)
        assert (await caller.ask("POST /dead-letters/requeue", {"kind": "task", "limit": 101})).status in (400, 422)
        assert (await caller.ask("POST /dead-letters/requeue", {"ids": [TASK], "kind": "task"})).status in (400, 422)
        assert (await caller.ask("POST /dead-letters/requeue", {"ids": ["task_1"]})).status in (400, 422)
        both = [await caller.ask("POST /dead-letters/requeue", {"kind": "task"}) for _ in range(2)]
    assert [answer.body["count"] for answer in both] == [1, 0]
