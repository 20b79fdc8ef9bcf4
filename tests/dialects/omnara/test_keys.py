"""Who is let in: keys of instances, each to its own alone; API keys as bearers; and nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.dialects.homes import ANN, API_KEY, Home
from tests.dialects.omnara.stories import INSTANCE, OTHER, TASK
from tests.dialects.world import BEGAN, World, talking
from trunkline.auth.instance_keys import InstanceKeys, mark_of_key
from trunkline.auth.principal import HOME
from trunkline.contracts.dispatch import SeenBy, WorkflowRun
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.instance import instance_subject

MESSAGE = "/api/v1/messages/agent"
END = "/api/v1/sessions/end"
Said = tuple[int, Any]


def key_of(world: World, task: str = TASK, tenant: str = HOME, seconds: float = 3600) -> str:
    return world.home.keys(world.now).text(TenantId(tenant), TaskId(task), "0123456789abcdef", BEGAN + timedelta(seconds=seconds))


async def dispatched(world: World, session: ClientSession) -> None:
    """Two instances of ann's."""
    for name in (INSTANCE, OTHER):
        asked = {"owner": "acme", "repo": "shop", "prompt": "x", "agent_instance_id": name}
        assert (await ask(session, "POST", "/api/v1/github/dispatches", asked, API_KEY))[0] == 202


async def ask(session: ClientSession, method: str, path: str, body: object = None, key: str = "", **headers: str) -> Said:
    shown = {"Authorization": f"Bearer {key}"} if key else {}
    async with session.request(method, path, json=body, headers={**shown, **headers}) as answer:
        return answer.status, await answer.json()


async def test_an_api_key_is_taken_as_a_bearer_and_nothing_that_is_none() -> None:
    async with talking(World()) as session:
        assert (await ask(session, "GET", "/api/v1/auth/verify", key=API_KEY))[1]["user_id"] == ANN.subject
        for shown in ("", "something", "omni_key_", "ghp_0123456789abcdef0123456789abcdef0123"):
            status, said = await ask(session, "GET", "/api/v1/auth/verify", key=shown)
            assert (status, list(said)) == (401, ["detail"])
        for headers in ({"Authorization": f"Basic {API_KEY}"}, {"X-API-Key": "none of ours"}):
            assert (await ask(session, "GET", "/api/v1/auth/verify", **headers))[0] == 401


async def test_a_key_speaks_for_its_own_instance() -> None:
    world = World()
    async with talking(world) as session:
        await dispatched(world, session)
        key = key_of(world)
        status, said = await ask(session, "POST", MESSAGE, {"content": "begun", "agent_instance_id": INSTANCE}, key)
        assert (status, said["agent_instance_id"]) == (200, INSTANCE)
        assert (await ask(session, "PATCH", f"/api/v1/messages/{said['message_id']}/request-input", key=key))[0] == 200
        assert (await ask(session, "POST", "/api/v1/messages/user", {"content": "hm", "agent_instance_id": INSTANCE}, key))[0] == 200
        assert (await ask(session, "GET", f"/api/v1/agent-instances/{INSTANCE}", key=key))[1]["id"] == INSTANCE
        assert (await ask(session, "POST", f"/api/v1/agents/instances/{INSTANCE}/heartbeat", key=key))[0] == 200
        assert (await ask(session, "POST", "/api/v1/agent-instances", {"agent_type": "claude"}, key))[0] == 409, "its own is there"
        assert (await ask(session, "GET", "/api/v1/auth/verify", key=key))[1]["user_id"] == instance_subject(TASK)


@pytest.mark.parametrize("agent_type", [None, "claude"])
async def test_a_key_reaches_no_other_instance_there_or_not(agent_type: str | None) -> None:
    world = World()
    async with talking(world) as session:
        await dispatched(world, session)
        _, said = await ask(session, "POST", MESSAGE, {"content": "x", "agent_instance_id": OTHER}, key_of(world, OTHER.replace("-", "")))
        key, before = key_of(world), len(world.events)
        for other in (OTHER, "99443b55-89b7-42a1-ad10-301f97d7f9bd", "some text"):
            body = {"content": "x", "agent_instance_id": other, "agent_type": agent_type, "name": "x", "status": "FAILED"}
            at = f"/api/v1/agent-instances/{other}"
            run = {"run_id": 7, "repository": "acme/shop"}
            tried = [
                await ask(session, "POST", MESSAGE, body, key),
                await ask(session, "POST", "/api/v1/messages/user", body, key),
                await ask(session, "GET", f"/api/v1/messages/pending?agent_instance_id={other}", key=key),
                await ask(session, "POST", END, body, key),
                await ask(session, "GET", at, key=key),
                await ask(session, "GET", f"{at}/messages", key=key),
                await ask(session, "GET", f"{at}/messages/stream", key=key),
                await ask(session, "PUT", f"{at}/status", body, key),
                await ask(session, "PUT", f"{at}/run", run, key),
                await ask(session, "POST", f"/api/v1/agents/instances/{other}/heartbeat", key=key),
                await ask(session, "PATCH", f"/api/v1/messages/{said['message_id']}/request-input", key=key),
            ]
            assert [status for status, _ in tried] == [400] * 4 + [404] * 7
            if agent_type:
                assert (await ask(session, "POST", "/api/v1/agent-instances", body, key))[0] == 403
        assert len(world.events) == before, "something happened"


async def test_a_run_that_a_key_names_for_its_own_instance_is_passed_on_as_its_word_and_nothing_more() -> None:
    world = World()
    async with talking(world) as session:
        await dispatched(world, session)
        claimed = {"run_id": 4711, "repository": "acme/shop", "url": "javascript:alert(1)"}
        answered = await ask(session, "PUT", f"/api/v1/agent-instances/{INSTANCE}/run", claimed, key_of(world))
    assert answered == (200, {"success": True})
    (wish,) = world.home.reported
    assert (wish.task_id, wish.how, wish.run) == (TASK, SeenBy.TOLD, WorkflowRun(run_id=4711, status="in_progress"))


async def test_a_key_opens_nothing_but_the_doors_of_its_instance() -> None:
    world = World()
    async with talking(world) as session:
        await dispatched(world, session)
        key, asked = key_of(world), {"owner": "acme", "repo": "shop", "prompt": "more of me"}
        for method, path in (("POST", "/api/v1/github/dispatches"), ("GET", "/api/v1/github/runs?owner=acme&repo=shop")):
            assert (await ask(session, method, path, asked if method == "POST" else None, key))[0] == 403
        assert (await ask(session, "GET", f"/api/v1/agent-instances/{INSTANCE}/keys", key=key))[0] == 403
        assert (await ask(session, "GET", "/api/sandbox/list", key=key))[0] == 401
        assert (await ask(session, "GET", "/tasks", key=key))[0] in (401, 403)


def changed(key: str, at: int) -> str:
    return key[:at] + ("0" if key[at] != "0" else "1") + key[at + 1 :]


async def test_a_key_that_was_changed_made_elsewhere_or_is_of_another_time_opens_nothing() -> None:
    world = World()
    foreign = InstanceKeys(b"another sealing key, of somebody", lambda: BEGAN.timestamp())
    made = foreign.text(HOME, TaskId(TASK), "0123456789abcdef", BEGAN + timedelta(hours=1))
    good = key_of(world)
    async with talking(world) as session:
        bad = [
            made,
            key_of(world, seconds=-1),
            good + "x",
            good.removesuffix(HOME) + "acme",
            *(changed(good, at) for at in (10, 45, 60, 100)),
        ]
        for key in bad:
            status, said = await ask(session, "POST", MESSAGE, {"content": "x", "agent_instance_id": INSTANCE}, key)
            assert status == 401 and key[20:] not in said["detail"]


async def test_a_revoked_key_may_say_the_end_once_more_and_nothing_else() -> None:
    world = World()
    async with talking(world) as session:
        await dispatched(world, session)
        key = key_of(world)
        assert (await ask(session, "POST", END, {"agent_instance_id": INSTANCE}, key))[0] == 200
        world.home.revoked.add(mark_of_key(key))
        again = await ask(session, "POST", END, {"agent_instance_id": INSTANCE}, key)
        assert again == (200, {"success": True, "agent_instance_id": INSTANCE, "final_status": "COMPLETED"})
        status, said = await ask(session, "POST", MESSAGE, {"content": "still here", "agent_instance_id": INSTANCE}, key)
        assert (status, said) == (401, {"detail": "the key of this instance was revoked; its task is over"})
        assert (await ask(session, "GET", f"/api/v1/agent-instances/{INSTANCE}", key=key))[0] == 401


async def test_without_a_sealing_key_nothing_is_dispatched_and_no_key_holds() -> None:
    good = key_of(World())
    world = World(home=Home(sealing_key=b""))
    async with talking(world) as session:
        asked = {"owner": "acme", "repo": "shop", "prompt": "x"}
        status, said = await ask(session, "POST", "/api/v1/github/dispatches", asked, API_KEY)
        assert (status, "TRUNKLINE_VAULT_KEY" in said["detail"]) == (422, True)
        assert (await ask(session, "GET", "/api/v1/auth/verify", key=good))[0] == 401


async def test_a_token_in_the_address_counts_on_the_stream_alone() -> None:
    world = World()
    async with talking(world) as session:
        await dispatched(world, session)
        async with session.get(f"/api/v1/agent-instances/{INSTANCE}/messages/stream?token={key_of(world)}") as answer:
            assert answer.status == 200
        for path in (f"/api/v1/agent-instances/{INSTANCE}", "/api/v1/auth/verify"):
            assert (await ask(session, "GET", f"{path}?token={key_of(world)}"))[0] == 401
        assert (await ask(session, "GET", f"/api/v1/agent-instances/{INSTANCE}/messages/stream?token=x"))[0] == 401
