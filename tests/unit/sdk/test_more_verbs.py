"""Lists, limits, replays, the demonstration and webhooks, asked of a gateway in front of a small world."""

from __future__ import annotations

import pytest

from tests.dialects.hooks import answer_handshakes, send_in_vain
from tests.dialects.orchestrator.asking import ADMIN, AGENT
from tests.dialects.pr_agent import stories
from tests.dialects.world import World, served
from trunkline import AsyncClient
from trunkline.contracts.task import TaskSucceeded
from trunkline.sdk import errors
from trunkline.sdk.calls import approvals

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def test_ones_own_jobs_are_listed_over_pages() -> None:
    world = World()
    world.principal = AGENT
    async with served(world) as gateway, AsyncClient(gateway.url) as client:
        made = [(await client.jobs.execute("o/n", f"task {number}")).job_id for number in range(5)]
        listed = client.jobs.list(page_size=2)
        assert sorted([job.id async for job in listed]) == sorted(made)
        assert (await listed.page()).total == 5
        assert [job.id async for job in client.jobs.list(status="success")] == []


async def test_limits_are_looked_at() -> None:
    world = World()
    world.principal = AGENT
    async with served(world) as gateway, AsyncClient(gateway.url) as client:
        left = await client.jobs.rate_limit_status()
    assert left.tier
    assert {"minute", "hour", "day"} <= set(left.limits)


async def test_a_replay_tells_the_same_as_the_stream() -> None:
    world = World()
    async with served(world) as gateway, AsyncClient(gateway.url) as client:
        job = (await client.jobs.execute("o/n", "t")).job_id
        for facts in stories.STARTED:
            await world.say(world.events[0].task, *facts)
        await world.say(world.events[0].task, TaskSucceeded(result=stories.result()))
        whole = [event async for event in client.jobs.stream(job)]
        assert [event async for event in client.jobs.replay(job, speed=100)] == whole
        assert [event async for event in client.jobs.replay(job, 100.0, after=whole[1].id)] == whole[2:]
        world.principal = AGENT
        task = f"task_{world.events[0].task}"
        assert [event async for event in client.tasks.events(task, speed=100)] == [event async for event in client.tasks.events(task)]
        with pytest.raises(errors.InvalidRequestError):
            await anext(client.jobs.replay(job, speed=1000))


async def test_the_demonstration_is_read() -> None:
    async with served(World()) as gateway, AsyncClient(gateway.url) as client:
        stream = client.jobs.demonstration()
        assert (await anext(stream)).type == "status"
        await stream.aclose()
        assert [event async for event in stream] == []


async def test_a_webhook_of_the_tenant_is_made_changed_and_removed() -> None:
    world = World()
    world.principal = ADMIN
    async with served(world) as gateway, AsyncClient(gateway.url) as client:
        made = await client.webhooks.create("https://example.com/hook", ["task.*"], secret=SECRET, description="mine")
        assert (made.secret, made.webhook.events) == (SECRET, ("task.*",))
        assert SECRET not in repr(made)
        assert [hook.webhook_id async for hook in client.webhooks.list()] == [made.webhook_id]
        assert (await client.webhooks.change(made.webhook_id, events=["job.failed"])).events == ("job.failed",)
        assert (await client.webhooks.get(made.webhook_id)).description == "mine"
        assert (await client.webhooks.rotate(made.webhook_id)).secret != SECRET
        assert (await client.webhooks.verify(made.webhook_id)).status == "pending"
        assert [sent async for sent in client.webhooks.deliveries(made.webhook_id)] == []
        await client.webhooks.delete(made.webhook_id)
        with pytest.raises(errors.NotFoundError):
            await client.webhooks.get(made.webhook_id)


async def test_a_webhook_for_ones_own_jobs_is_made_and_removed() -> None:
    world = World()
    world.principal = AGENT
    async with served(world) as gateway, AsyncClient(gateway.url) as client:
        made = await client.jobs.create_webhook("https://example.com/hook", secret=SECRET)
        assert made.secret == SECRET and SECRET not in repr(made)
        assert [hook.id for hook in await client.jobs.list_webhooks()] == [made.id]
        assert (await client.jobs.get_webhook(made.id)).events == ("job.completed", "job.failed")
        await client.jobs.delete_webhook(made.id)
        assert await client.jobs.list_webhooks() == ()


async def test_a_webhook_for_ones_own_jobs_has_all_the_verbs_that_the_tenants_have() -> None:
    world = World()
    world.principal = AGENT
    async with served(world) as gateway, AsyncClient(gateway.url) as client:
        hooks = client.job_webhooks
        id = (await hooks.create("https://example.com/hook", secret=SECRET)).id
        assert [hook.id for hook in await hooks.list()] == [id]
        assert (await hooks.change(id, events=["task.*"])).events == ("task.*",)
        rotated = await hooks.rotate(id)
        assert rotated.secret not in (SECRET, repr(rotated)) and rotated.signs_with_both_until is not None
        assert (await hooks.verify(id)).status == "pending"
        answer_handshakes(world.hooks, world.now())
        sent = [send_in_vain(world.hooks, world.now()).id for _ in range(3)]
        assert sorted([one.id async for one in hooks.deliveries(id, status="dead", page_size=2)]) == sent
        found = await hooks.delivery(id, sent[0])
        assert (found.status, found.last_answer, found.job_id) == ("dead", "500", "0194589f-6d00-7000-8000-000000000009")
        assert found.attempts[0].took_ms == 12 and found.request is not None and not found.request.cut
        assert (await hooks.redeliver(id, sent[0])).redelivered == 1
        assert (await hooks.redeliver_many(id, since=world.now())).count == 3
        assert (await hooks.change(id, enabled=False)).disabled_by == "person"
        await hooks.delete(id)
        with pytest.raises(errors.NotFoundError):
            await hooks.get(id)


async def test_a_decision_says_how_it_stands_also_when_it_was_the_last_word() -> None:
    world = World()
    world.principal = ADMIN
    async with served(world) as gateway, AsyncClient(gateway.url) as client:
        asked = [(await client.tasks.create("deployment", {}, priority="P0")).approval_id for _ in range(2)]
        assert all(asked)
        assert (await client.approvals.approve(str(asked[0]))).status == "approved"
        assert (await client.approvals.reject(str(asked[1]), "not now")).status == "rejected"


def test_a_word_that_was_not_the_last_says_what_is_missing() -> None:
    said = b'{"success":true,"approval_id":"a","message":"Vote recorded: 1 of 2","status":"pending","votes":1,"quorum":2}'
    told = approvals.approve("a").parse(said)
    assert (told.status, told.votes, told.quorum) == ("pending", 1, 2)
