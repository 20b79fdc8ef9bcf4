"""Agents that ask the router for work on a real nats-server: leases, beats, what they say and ask, and what becomes of one that is gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator
from nats.errors import Error as NatsError

from tests.architecture.source import ROOT
from tests.flows.plain_agent import Json, PlainAgent, Refusal, held, plain_agent, text
from tests.flows.test_routing import Client, routed
from trunkline.contracts.approval import DecideApproval, Verdict
from trunkline.contracts.calls import Allowance
from trunkline.contracts.errors import Conflict
from trunkline.contracts.ids import TenantId
from trunkline.contracts.lease import LeaseEnd, TaskAnswered, TaskLeased, TaskLeaseOver
from trunkline.contracts.run import AgentOutput, ApprovalDropped, ApprovalWanted
from trunkline.contracts.task import (
    Reported,
    TaskAssigned,
    TaskCancelled,
    TaskFailed,
    TaskGoesOn,
    TaskRetryScheduled,
    TaskStarted,
    TaskStatus,
    TaskSubmitted,
    TaskSucceeded,
    TaskWaits,
)
from trunkline.contracts.trace import SpanView
from trunkline.runtime.clock import now
from trunkline.testing.nats import NatsServer, nats_server
from trunkline_approvals.settings import Settings as ApprovalsSettings
from trunkline_approvals.wiring import running as approvals_running

pytestmark = pytest.mark.flow
DOCUMENT = json.loads((ROOT / "api" / "asyncapi" / "router.json").read_text())


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as one:
        yield one


@asynccontextmanager
async def scene(server: NatsServer, **settings: Any) -> AsyncIterator[tuple[Client, PlainAgent]]:
    """A router, somebody who submits, and an agent, in a tenant of their own."""
    tenant = f"t{uuid4().hex[:8]}"
    async with routed(server, **settings) as client, plain_agent(server.url, tenant) as agent:
        client.tenant = tenant
        yield client, agent
    for spoken in agent.spoken:
        as_documented(*spoken)


def as_documented(verb: str, asked: Json, said: Json) -> None:
    """The wire is what its AsyncAPI document says, for whoever writes a client by it."""
    operation = DOCUMENT["operations"][f"receive.agent.{verb}"]
    if said["accepted"]:
        message(operation["channel"]).validate(asked)
    message(operation["reply"]["channel"]).validate(said)


def message(channel: Json) -> Draft202012Validator:
    (name,) = DOCUMENT["channels"][channel["$ref"].removeprefix("#/channels/")]["messages"]
    return validator(name)


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({**DOCUMENT["components"]["messages"][name]["payload"], "components": DOCUMENT["components"]})


async def told(client: Client, trace_id: str, spans: set[str]) -> list[SpanView]:
    """Of a trace, once these are among them."""
    async with asyncio.timeout(10):
        while True:
            found = await client.bus.traces.spans(TenantId(client.tenant), trace_id, 100)
            if spans <= {span.span_id for span in found}:
                return found
            await asyncio.sleep(0.05)


async def refused(asking: Any) -> str:
    with pytest.raises(Refusal) as refusal:
        await asking
    return refusal.value.code


async def taken(client: Client, agent: PlainAgent, task: str = "one", **fields: Any) -> Json:
    await client.submit(task, **fields)
    (found,) = await agent.claim()
    return found


async def test_an_agent_claims_works_says_and_succeeds(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        await client.submit("one", payload={"issue": "login"}, prompt="fix it")
        (task,) = await agent.claim()
        assert (task["type"], task["payload"], task["prompt"], task["attempt"]) == ("bugfix", {"issue": "login"}, "fix it", 1)
        assert task["traceparent"].startswith("00-")
        assert await agent.report(task, "started") == "in_progress"
        await agent.say(task, "s1", text("looked at it"), {"kind": "progress", "fraction": 0.5, "text": "half"})
        await agent.say(task, "s1", text("looked at it"), {"kind": "progress", "fraction": 0.5, "text": "half"})
        assert await agent.beat(task) == ["going"]
        assert await agent.report(task, "succeeded", result={"fixed": 1}) == "succeeded"
        assert await agent.report(task, "succeeded", result={"fixed": 1}) == "succeeded"
        facts = await client.facts("one")
        assert [type(fact) for fact in facts[2:]] == [TaskLeased, TaskStarted, TaskSucceeded]
        assert facts[-1].outcome == {"fixed": 1}
        said = await client.facts("one", "output")
        assert [fact.display for fact in said if isinstance(fact, AgentOutput)] == ["looked at it", "50% half"]
        assert await agent.claim(wait_s=0) == []


async def test_what_is_given_may_begin_with_that_and_the_last_words_come_with_the_report(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        await client.submit("one")
        (task,) = await agent.claim(begin=True)
        assert task["begun"]
        for _ in range(2):  # the first answer may be lost
            assert await agent.report(task, "succeeded", said=[text("found it")]) == "succeeded"
        assert [type(fact) for fact in (await client.facts("one"))[2:]] == [TaskLeased, TaskStarted, TaskSucceeded]
        assert [fact.display for fact in await client.facts("one", "output") if isinstance(fact, AgentOutput)] == ["found it"]
        thief = {**task, "lease": "0" * 32}
        assert await refused(agent.report(thief, "succeeded", said=[text("mine")])) == "LEASE_LOST"
        assert len(await client.facts("one", "output")) == 1


async def test_what_an_agent_does_is_a_span_of_its_tasks_trace_and_so_is_what_it_asks(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        with client.bus.watch.tracer.edge("POST /tasks", ("", ""), writes=True) as sent:
            sent.belongs(client.tenant, "ann")
            await client.submit("one")
        (task,) = await agent.claim()
        part = await agent.ask("submit", {**held(task), "id": "part", "type": "monitoring"})
        await agent.report(task, "released")
        (again,) = await agent.claim(types=["bugfix"])
        assert await agent.report(again, "failed", code="NO_LUCK") == "failed"
        runs = [f"{one['traceparent'][36:52]}" for one in (task, again)]
        found = await told(client, sent.trace_id, set(runs))
        child = (await client.facts(part["task_id"]))[0]
    by_id = {span.span_id: span for span in found}
    first, second = (by_id[run] for run in runs)
    assert [(run.name, run.by, run.task, run.failed, run.attributes) for run in (first, second)] == [
        ("run", "bot", "one", "", {"attempt": 1}),
        ("run", "bot", "one", "NO_LUCK", {"attempt": 1}),
    ]
    assert {by_id[run.parent_id].name for run in (first, second)} == {"work-dev_agent"}
    below = {(span.parent_id, span.name) for span in found}
    assert {(runs[0], "agent.report"), (runs[0], "agent.submit"), (runs[1], "agent.report")} <= below
    assert task["traceparent"] == f"00-{sent.trace_id}-{runs[0]}-01"
    assert isinstance(child, TaskSubmitted)
    assert child.trace_id == "trace-1"


async def test_a_claim_waits_for_what_comes_and_is_ended_by_a_later_one(server: NatsServer) -> None:
    async with scene(server) as (client, agent), asyncio.TaskGroup() as group:
        first = group.create_task(agent.claim(wait_s=20))
        await asyncio.sleep(0.05)
        second = group.create_task(agent.claim(wait_s=20))
        assert await first == []
        await client.submit("one")
        assert [task["task_id"] for task in await second] == ["one"]


async def test_what_was_leased_and_not_heard_is_told_again(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        task = await taken(client, agent)
        agent.holding.clear()  # as if the answer had been lost
        assert [held(again) for again in await agent.claim()] == [held(task)]
        assert await agent.claim(wait_s=0) == []


async def test_types_that_nobody_here_takes_go_back(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        await client.submit("one", type="feature")
        await client.submit("two", type="bugfix")
        assert [task["task_id"] for task in await agent.claim(types=["bugfix"])] == ["two"]
        assert [task["task_id"] for task in await agent.claim(types=["feature"])] == ["one"]


async def test_nobody_else_says_anything_about_a_leased_task(server: NatsServer) -> None:
    async with scene(server) as (client, agent), plain_agent(server.url, agent.tenant, "thief") as thief:
        task = await taken(client, agent)
        with pytest.raises(Conflict, match="bot has this task in hand"):
            await client.report("one", Reported.SUCCEEDED)
        assert await refused(thief.report(task, "succeeded")) == "LEASE_LOST"
        assert await refused(thief.say(task, "x", text("mine"))) == "LEASE_LOST"
        assert await thief.beat(task) == ["lost"]
        assert await refused(agent.report({**task, "lease": "guessed"}, "succeeded")) == "LEASE_LOST"
        assert await refused(agent.report({**task, "task_id": "other"}, "succeeded")) == "NO_SUCH_TASK"


async def test_an_agent_of_the_old_way_keeps_its_task(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        await client.submit("one")
        assert await client.report("one", Reported.STARTED) is TaskStatus.IN_PROGRESS
        assert await agent.claim(wait_s=0.3) == []
        assert await client.report("one", Reported.SUCCEEDED) is TaskStatus.SUCCEEDED


async def test_an_agent_that_vanishes_loses_its_task_and_its_late_words_are_refused(server: NatsServer) -> None:
    async with scene(server, lease_s=1.5) as (client, agent), plain_agent(server.url, agent.tenant, "second") as second:
        task = await taken(client, agent, max_retries=1)
        await agent.report(task, "started")
        facts = await client.until("one", TaskRetryScheduled)
        over = next(fact for fact in facts if isinstance(fact, TaskLeaseOver))
        assert (over.why, over.by) == (LeaseEnd.EXPIRED, "bot")
        (again,) = await second.claim(wait_s=10)
        assert again["attempt"] == 2
        for late in (agent.say(task, "late", text("still here")), agent.report(task, "succeeded")):
            assert await refused(late) == "LEASE_LOST"
        assert await agent.beat(task) == ["lost"]
        assert await second.report(again, "succeeded") == "succeeded"
        assert await client.facts("one", "output") == []


async def test_beats_keep_a_lease_alive(server: NatsServer) -> None:
    async with scene(server, lease_s=2.0) as (client, agent):
        task = await taken(client, agent)
        for _ in range(15):  # half as long again as a lease
            assert await agent.beat(task) == ["going"]
            await asyncio.sleep(0.2)
        assert await agent.report(task, "succeeded") == "succeeded"


async def test_a_restart_of_nats_server_is_nobody_s_silence_and_keeps_no_lease_for_ever() -> None:
    with nats_server() as own:
        async with scene(own, lease_s=2) as (client, agent), plain_agent(own.url, agent.tenant, "mute") as mute:
            task = await taken(client, agent)
            await agent.report(task, "started")
            await client.submit("two", max_retries=1)
            (silent,) = await mute.claim()
            await mute.report(silent, "started")
            own.kill()
            own.start()
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                ending = group.create_task(client.until("two", TaskLeaseOver))
                while not ending.done():
                    with suppress(TimeoutError, NatsError):  # what was asked as the server went is asked again
                        assert await agent.beat(task, timeout=0.3) == ["going"]
                    await asyncio.sleep(0.1)
            assert await agent.report(task, "succeeded") == "succeeded"


@pytest.mark.parametrize("begin", [False, True])
async def test_what_was_never_begun_or_never_heard_of_is_released_again_without_counting(server: NatsServer, begin: bool) -> None:
    async with scene(server, lease_s=1.0) as (client, agent):
        await client.submit("one")
        (first,) = await agent.claim(begin=begin)
        (again,) = await agent.claim(wait_s=10)
        assert (again["attempt"], again["lease"] == first["lease"]) == (1, False)
        facts = await client.facts("one")
        assert [fact.attempt for fact in facts if isinstance(fact, TaskAssigned)] == [1, 1]


async def test_an_agent_hands_back_what_it_does_not_do(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        task = await taken(client, agent)
        await agent.report(task, "started")
        assert await agent.report(task, "released") == "assigned"
        (again,) = await agent.claim()
        assert again["attempt"] == 1
        assert await agent.report(again, "failed", error="no", code="ODD", mendable=False) == "failed"
        assert (await client.facts("one"))[-1] == TaskFailed(code="ODD", error="no")


async def test_a_cancel_is_told_at_once_and_confirmed(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        told: asyncio.Queue[Json] = asyncio.Queue()
        ear = await agent.client.subscribe(f"told.{agent.tenant}.{agent.name}.stop")
        await agent.client.flush()
        task = await taken(client, agent)
        assert await client.cancel("one") is TaskStatus.STOPPING
        told_of = await ear.next_msg(5)
        said = json.loads(told_of.data)
        assert held(task).items() <= said.items()
        validator(next(iter(DOCUMENT["channels"]["told.stop"]["messages"]))).validate(said)
        assert await agent.beat(task) == ["stop"]
        assert await agent.report(task, "stopped") == "cancelled"
        assert isinstance((await client.facts("one"))[-1], TaskCancelled)
        assert told.empty()


async def test_only_what_is_to_stop_can_be_stopped(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        assert await refused(agent.report(await taken(client, agent), "stopped")) == "NOT_STOPPING"


@asynccontextmanager
async def with_people(server: NatsServer) -> AsyncIterator[None]:
    async with approvals_running(ApprovalsSettings.model_validate({"nats_url": server.url})):
        yield


async def decided(client: Client, task: str, approval: str, verdict: Verdict, answer: str | None = None, by: str = "ann") -> None:
    wish = DecideApproval(
        tenant=client.tenant, at=now(), approval_id=approval, task_id=task, decision_id=uuid4().hex, verdict=verdict, by=by,
        role="approver", reason="so it is", allowance=Allowance(answer=answer) if answer else None,
    )  # fmt: skip
    async with asyncio.timeout(10):
        while True:
            try:
                await client.bus.commands.send("approvals", task, wish)
            except Exception as error:
                if getattr(error, "code", "") not in ("APPROVAL_NOT_FOUND", "NO_SUCH_APPROVAL", "NOT_FOUND"):
                    raise
                await asyncio.sleep(0.02)
            else:
                return


async def test_people_answer_what_an_agent_asks(server: NatsServer) -> None:
    async with with_people(server), scene(server) as (client, agent):
        task = await taken(client, agent)
        asked = await agent.ask("ask", {**held(task), "id": "which", "question": "Which way?"})
        assert await agent.ask("ask", {**held(task), "id": "which", "question": "Which way?"}) == asked
        assert await refused(agent.ask("ask", {**held(task), "id": "which", "question": "Another?"})) == "ASKED_OTHERWISE"
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(agent.ask("answer", {**held(task), "id": "which", "wait_s": 10}))
            await decided(client, "one", asked["approval_id"], Verdict.APPROVED, "to the left")
        answer = waiting.result()
        assert (answer["status"], answer["answer"], answer["by"]) == ("approved", "to the left", "ann")
        kinds = [type(fact) for fact in await client.facts("one")]
        assert kinds[2:] == [TaskLeased, ApprovalWanted, TaskWaits, TaskAnswered, TaskGoesOn]
        assert await refused(agent.ask("answer", {**held(task), "id": "other", "wait_s": 0})) == "NOT_ASKED"


async def test_what_people_reject_the_agent_hears_so_and_nobody_approves_their_own(server: NatsServer) -> None:
    async with with_people(server), scene(server) as (client, agent):
        task = await taken(client, agent)
        asked = await agent.ask("approve", {**held(task), "id": "drop", "title": "Drop the table?", "about": {"table": "users"}})
        with pytest.raises(Exception, match=r"own|requester|asked"):
            await decided(client, "one", asked["approval_id"], Verdict.APPROVED, by="bot")
        await decided(client, "one", asked["approval_id"], Verdict.REJECTED)
        answer = await agent.ask("answer", {**held(task), "id": "drop", "wait_s": 10})
        assert (answer["status"], answer["reason"]) == ("rejected", "so it is")


async def test_a_question_that_nobody_answers_in_its_time_is_answered_by_that(server: NatsServer) -> None:
    async with with_people(server), scene(server) as (client, agent):
        task = await taken(client, agent)
        await agent.ask("approve", {**held(task), "id": "soon", "title": "Now?", "expires_s": 0.2})
        assert (await agent.ask("answer", {**held(task), "id": "soon", "wait_s": 10}))["status"] == "expired"
        assert await agent.report(task, "succeeded") == "succeeded"


async def test_a_later_attempt_finds_what_was_asked_and_the_end_drops_what_is_open(server: NatsServer) -> None:
    async with with_people(server), scene(server) as (client, agent):
        task = await taken(client, agent)
        question = {"id": "which", "question": "Which way?"}
        asked = await agent.ask("ask", {**held(task), **question})
        await agent.report(task, "released")
        (again,) = await agent.claim()
        assert await agent.ask("ask", {**held(again), **question}) == asked
        await agent.report(again, "succeeded")
        facts = await client.facts("one")
        assert sum(isinstance(fact, ApprovalWanted) for fact in facts) == 1
        assert [type(fact) for fact in facts[-2:]] == [ApprovalDropped, TaskStarted] or isinstance(facts[-3], ApprovalDropped)


async def test_an_agent_makes_parts_publishes_and_follows(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        task = await taken(client, agent)
        wish = {**held(task), "id": "p1", "type": "documentation", "prompt": "write it down"}
        part = await agent.ask("submit", wish)
        assert await agent.ask("submit", wish) == part
        assert part["pool"] == "faq_agent"
        await agent.ask("publish", {"event_id": "e1", "event_type": "deploy.done", "task_id": "one", "payload": {"ok": True}})
        seen = await agent.ask("follow", {"task_id": "one", "wait_s": 1})
        kinds = [event["fact"]["type"] for event in seen["events"]]
        assert kinds[:3] == ["task.submitted", "task.assigned", "task.leased"]
        assert "event.published" in kinds
        later = await agent.ask("follow", {"task_id": "one", "after": seen["cursor"], "wait_s": 0})
        assert later["events"] == [] or later["events"][0]["cursor"] > seen["cursor"]


async def test_what_cannot_be_understood_is_refused_and_nothing_breaks(server: NatsServer) -> None:
    async with scene(server) as (client, agent):
        task = await taken(client, agent)
        for verb, body in (
            ("claim", {}),
            ("claim", {"pools": ["a.b"], "session": "s"}),
            ("claim", {"pools": ["dev"], "session": "s", "room": 10_000}),
            ("say", {**held(task), "id": "a.*", "items": [text("x")]}),
            ("say", {**held(task), "id": "a", "items": []}),
            ("say", {**held(task), "id": "a", "items": [{"kind": "spell"}]}),
            ("report", {**held(task), "reported": "exploded"}),
            ("report", {**held(task), "task_id": "../../x", "reported": "started"}),
            ("beat", {"session": "s", "leases": [{"task_id": ">", "lease": "x"}]}),
        ):
            assert await refused(agent.ask(verb, body)) == "BAD_REQUEST", (verb, body)
        for raw in (b"", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"pools":["dev"],"session":"s","wait_s":NaN}'):
            reply = await agent.client.request(f"agent.{agent.tenant}.{agent.name}.claim", raw, timeout=5)
            assert b"BAD_REQUEST" in reply.data
        assert await refused(agent.say(task, "big", *[text("x" * 32_000) for _ in range(10)])) == "TOO_MUCH_AT_ONCE"
        assert await agent.report(task, "succeeded") == "succeeded"


async def test_two_replicas_give_each_task_once(server: NatsServer) -> None:
    async with scene(server) as (client, agent), AsyncExitStack() as stack:
        await stack.enter_async_context(routed(server))
        others = [await stack.enter_async_context(plain_agent(server.url, agent.tenant, f"a{n}")) for n in range(4)]
        tasks, done = [f"n{n}" for n in range(20)], list[str]()
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                group.create_task(client.submit(task))
            for each in (agent, *others):
                group.create_task(worked(each, done, len(tasks)))
        assert sorted(done) == sorted(tasks)
        for task in tasks:
            assert sum(isinstance(fact, TaskLeased) for fact in await client.facts(task)) == 1


async def worked(agent: PlainAgent, done: list[str], most: int) -> None:
    while len(done) < most:
        for task in await agent.claim(wait_s=0.3, room=3):
            await agent.report(task, "succeeded")
            done.append(task["task_id"])
