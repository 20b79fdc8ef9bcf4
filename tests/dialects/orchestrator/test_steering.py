"""Steering at the orchestrator's surface: messages until they are taken, and interrupting, pausing and resuming."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialects.orchestrator.asking import ADMIN, AGENT, APPROVER, USER, Answer, Caller, calling, working
from tests.dialects.world import World
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.ids import TenantId
from trunkline.contracts.run import RunWaits, Wait
from trunkline.contracts.spend import ModelAnswered
from trunkline.contracts.steering import InboxClosed, MessageDelivered, MessageTaken, SteerRun
from trunkline.contracts.task import Assignment, TaskCancelled, TaskSubmitted

TASK = "0194589f6d0070008000000000000009"
AT = f"/tasks/task_{TASK}"
NONE = "0" * 32


async def running(world: World, task: str = TASK, tenant: str = HOME) -> None:
    """A task that an agent of ours has."""
    asked = Assignment(repo="acme/shop", prompt="Fix the login bug.")
    await world.say(task, TaskSubmitted(assignment=asked, submitted_by="dev-agent-1", deadline_at=world.now()), tenant=tenant)


async def say(caller: Caller, text: str = "Also fix the tests.") -> str:
    said = await caller.ask(f"POST {AT}/messages", {"text": text})
    assert said.status == 202, said
    return str(said.body["message_id"])


async def queue(caller: Caller) -> list[tuple[str, str]]:
    """Text and state of each, in order."""
    return [(one["text"], one["state"]) for one in (await caller.ask(f"GET {AT}/messages")).body["messages"]]


async def taken(world: World, message: str) -> None:
    await world.say(
        TASK, MessageDelivered(message_id=message, attempt=1), MessageTaken(message_id=message, attempt=1, sitting=1), part="inbox"
    )


async def test_a_message_waits_and_may_be_changed_ordered_and_withdrawn_until_it_is_taken() -> None:
    world = working()
    await running(world)
    async with calling(world) as caller:
        first, second, third = [await say(caller, text) for text in ("one", "two", "three")]
        assert (await caller.ask(f"PATCH {AT}/messages/{second}", {"text": "zwei"})).status == 200
        assert (await caller.ask(f"PUT {AT}/messages/order", {"message_ids": [third, second, first]})).status == 200
        assert (await caller.ask(f"DELETE {AT}/messages/{first}")).status == 200
        assert await queue(caller) == [("three", "queued"), ("zwei", "queued"), ("one", "withdrawn")]
        await taken(world, third)
        listed = (await caller.ask(f"GET {AT}/messages")).body
    assert [(one["text"], one["state"], one["edits"]) for one in listed["messages"]] == [
        ("zwei", "queued", 1), ("three", "taken", 0), ("one", "withdrawn", 0),
    ]  # fmt: skip
    assert (listed["count"], listed["waiting"], listed["paused"], listed["closed"]) == (3, 1, False, False)
    assert listed["messages"][1]["delivered_at"] == listed["messages"][1]["taken_at"] > listed["messages"][1]["queued_at"]


async def test_what_the_agent_has_is_neither_changed_nor_withdrawn() -> None:
    world = working()
    await running(world)
    async with calling(world) as caller:
        message = await say(caller)
        await taken(world, message)
        for refused in (
            await caller.ask(f"PATCH {AT}/messages/{message}", {"text": "no"}),
            await caller.ask(f"DELETE {AT}/messages/{message}"),
        ):
            assert (refused.status, refused.detail) == (409, "the agent has this message already; send another one")


async def test_an_order_that_is_not_of_what_waits_changes_nothing() -> None:
    world = working()
    await running(world)
    async with calling(world) as caller:
        first, second = await say(caller, "one"), await say(caller, "two")
        assert (await caller.ask(f"PUT {AT}/messages/order", {"message_ids": [second]})).status == 409
        assert (await caller.ask(f"PUT {AT}/messages/order", {"message_ids": [second, first, first]})).status == 400
        assert (await caller.ask(f"PUT {AT}/messages/order", {"message_ids": [second, "x"]})).status == 400
        assert await queue(caller) == [("one", "queued"), ("two", "queued")]


async def test_the_order_is_no_message() -> None:
    world = working()
    await running(world)
    async with calling(world) as caller, caller.session.patch(f"{AT}/messages/order", json={"text": "a"}) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "PUT")


async def test_a_request_that_is_repeated_with_its_key_says_it_once() -> None:
    world = working()
    await running(world)
    async with calling(world) as caller:
        key = {"Idempotency-Key": "k-1"}
        said = [await caller.ask(f"POST {AT}/messages", {"text": "once"}, key) for _ in range(3)]
        steered = [await caller.ask(f"POST {AT}/interrupt", None, key) for _ in range(3)]
        assert await queue(caller) == [("once", "queued")]
    assert len({answer.body["message_id"] for answer in said}) == 1
    assert {answer.status for answer in steered} == {202}
    assert len({command.wish_id for command in world.sent if isinstance(command, SteerRun)}) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422), ({"text": 5}, 422), ({"text": None}, 422), ({"txt": "a"}, 422), ({"text": ""}, 400), ({"text": " \n"}, 400),
        ({"text": "x" * (128 << 10)}, 202), ({"text": "x" * ((128 << 10) + 1)}, 400), ({"text": "x" * ((128 << 10) - 3) + "\u20ac"}, 202),
        ({"text": "x" * ((128 << 10) - 2) + "\u20ac"}, 400), ({"text": "x" * (256 << 10)}, 413), ({"text": "a", "source_agent": "me"}, 202),
    ],
)  # fmt: skip
async def test_a_message_says_something_and_not_too_much(body: dict[str, Any], status: int) -> None:
    world = working()
    await running(world)
    async with calling(world) as caller:
        assert (await caller.ask(f"POST {AT}/messages", body)).status == status
        message = await say(caller)
        assert (await caller.ask(f"PATCH {AT}/messages/{message}", body)).status == (200 if status == 202 else status)


async def everything(caller: Caller, task: str, message: str = NONE) -> list[Answer]:
    """Each thing that can be asked for, once."""
    return [
        await caller.ask(f"POST {task}/messages", {"text": "a"}),
        await caller.ask(f"PATCH {task}/messages/{message}", {"text": "a"}),
        await caller.ask(f"DELETE {task}/messages/{message}"),
        await caller.ask(f"PUT {task}/messages/order", {"message_ids": []}),
        await caller.ask(f"POST {task}/interrupt"),
        await caller.ask(f"POST {task}/pause"),
        await caller.ask(f"POST {task}/resume"),
    ]


async def test_nothing_is_said_about_tasks_of_others_or_of_nobody() -> None:
    world = working()
    await running(world, tenant="umbrella")
    async with calling(world) as caller:
        for task in (AT, f"/tasks/task_{NONE}", "/tasks/task_x"):
            answers = [*await everything(caller, task), await caller.ask(f"GET {task}/messages")]
            assert {(answer.status, answer.detail) for answer in answers} == {(404, "there is no such task")}
        world.principal = Principal(TenantId("umbrella"), "theirs", Role.AGENT)
        assert (await caller.ask(f"GET {AT}/messages")).status == 200


async def test_a_message_that_nobody_sent_is_not_found() -> None:
    world = working()
    await running(world)
    async with calling(world) as caller:
        for message in (NONE, "x", "A" * 32):
            for asked in (f"PATCH {AT}/messages/{message}", f"DELETE {AT}/messages/{message}"):
                answer = await caller.ask(asked, {"text": "a"} if asked.startswith("PATCH") else None)
                assert (answer.status, answer.detail) == (404, "there is no such message to this task")


async def test_a_task_that_is_over_hears_nothing_and_still_shows_what_was_said() -> None:
    world = working()
    await running(world)
    async with calling(world) as caller:
        message = await say(caller)
        await world.say(TASK, TaskCancelled(by="ann", reason=""))
        assert {answer.status for answer in await everything(caller, AT, message)} == {409}
        listed = (await caller.ask(f"GET {AT}/messages")).body
    assert (listed["closed"], listed["count"]) == (True, 1)


async def test_a_run_whose_agent_is_done_hears_nothing() -> None:
    world = working()
    await running(world)
    await world.say(TASK, InboxClosed(attempt=1), part="inbox")
    async with calling(world) as caller:
        refused = await caller.ask(f"POST {AT}/messages", {"text": "wait"})
        assert (refused.status, refused.detail) == (409, "the agent is done, and its work is on its way: nothing reaches it any more")
        assert (await caller.ask(f"POST {AT}/pause")).status == 409
        assert (await caller.ask(f"GET {AT}/messages")).body["closed"] is True


async def test_a_task_of_an_agent_elsewhere_is_not_steered_from_here() -> None:
    world = working()
    async with calling(world) as caller:
        task = f"/tasks/{(await caller.task())['task_id']}"
        answers = await everything(caller, task)
        assert {answer.status for answer in answers} == {409}
        assert all("elsewhere" in answer.detail for answer in answers)
        assert (await caller.ask(f"GET {task}/messages")).body["messages"] == []


@pytest.mark.parametrize(
    ("who", "reads", "steers"), [(ANONYMOUS, 401, 401), (USER, 200, 403), (APPROVER, 200, 403), (AGENT, 200, 202), (ADMIN, 200, 202)]
)
async def test_who_may_steer(who: Principal, reads: int, steers: int) -> None:
    world = working()
    await running(world)
    world.principal = who
    async with calling(world) as caller:
        assert (await caller.ask(f"GET {AT}/messages")).status == reads
        for what in ("messages", "interrupt", "pause", "resume"):
            assert (await caller.ask(f"POST {AT}/{what}", {"text": "a"} if what == "messages" else None)).status == steers


async def test_a_pause_shows_on_the_task_until_it_is_resumed() -> None:
    world = working()
    await running(world)
    async with calling(world) as caller:
        for what, paused in (("pause", True), ("pause", True), ("interrupt", True), ("resume", False), ("resume", False)):
            said = await caller.ask(f"POST {AT}/{what}")
            assert (said.status, said.body["action"]) == (202, what)
            assert (await caller.ask(f"GET {AT}")).body["task"]["paused"] is paused
            assert (await caller.ask(f"GET {AT}/messages")).body["paused"] is paused
        assert (await caller.ask(f"POST {AT}/pause", {"reason": "x"})).status == 422


async def test_the_task_shows_what_its_run_waits_for_and_what_it_cost() -> None:
    world = working()
    await running(world)
    answered = ModelAnswered(attempt=1, sitting=1, request="r", shape="anthropic", status=200, input_tokens=9, output_tokens=3, usd=0.5)
    await world.say(TASK, answered, part="spend")
    await world.say(TASK, RunWaits(attempt=1, why=Wait.TOOL_CALL, approval_id="call-1"), part="run")
    async with calling(world) as caller:
        task = (await caller.ask(f"GET {AT}")).body["task"]
    assert (task["waiting_for"], task["waiting_approval_id"]) == ("tool_call", f"approval_{TASK}_call-1")
    assert task["spent"] == {"usd": 0.5, "limit_usd": None, "input_tokens": 9, "output_tokens": 3, "model": None}


async def test_every_receipt_stands_on_the_timeline_in_order() -> None:
    world = working()
    await running(world)
    async with calling(world) as caller:
        message = await say(caller)
        await caller.ask(f"PATCH {AT}/messages/{message}", {"text": "better"})
        await caller.ask(f"POST {AT}/interrupt")
        await taken(world, message)
        events = (await caller.ask(f"GET {AT}/events")).body["events"]
    assert [event["event_type"] for event in events] == [
        "task.created", "message.queued", "message.edited", "run.steered", "message.delivered", "message.taken",
    ]  # fmt: skip
    assert events[1]["payload"] == {"message_id": message, "text": "Also fix the tests.", "by": "dev-agent-1"}
    assert events[5]["payload"] == {"message_id": message, "attempt": 1, "sitting": 1}
