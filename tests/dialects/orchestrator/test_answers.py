"""What agents that call home ask, and what they are told, at the orchestrator's surface: answers in words, and messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests.dialects import owners
from tests.dialects.orchestrator.asking import AGENT, USER, Caller, calling, working
from tests.dialects.world import World
from trunkline.auth.principal import HOME
from trunkline.contracts.approval import ApprovalRequested
from trunkline.contracts.errors import NotFound, Unavailable
from trunkline.contracts.ids import message_id
from trunkline.contracts.instance import (
    GetInstance,
    InstanceOpened,
    InstanceRead,
    InstanceSaid,
    InstanceTold,
    SettleInput,
    TellInstance,
    ToldAnswer,
    instance_subject,
)
from trunkline.contracts.instance_views import InstanceView, fold_instance, newest
from trunkline.contracts.message import Accepted, Command
from trunkline.contracts.task import Assignment, Executor, SubmitTask, TaskSubmitted
from trunkline_router.model import instance, instance_life
from trunkline_router.model.instance_cues import Wished

TASK = "0194589f6d0070008000000000000009"
AT = f"/tasks/task_{TASK}"
M1 = message_id(TASK, "one")
QUESTION = f"approval_{TASK}_q{M1}"


@dataclass
class Home(World):
    """A world whose router knows instances too."""

    settled: tuple[str, ...] = ()
    away: bool = False

    async def send(self, service: str, id: str, command: Command, *, timeout: float = 10.0) -> Accepted:
        match command:
            case TellInstance():
                return await self._tell(command)
            case GetInstance():
                view = newest(self._view(command), command.messages)
                return Accepted(seq=0, body=view.model_dump(mode="json"))
            case SettleInput():
                self.settled = (*self.settled, command.approval_id)
                if self.away:
                    raise Unavailable("the router does not answer", code="NO_OWNER")
                return Accepted(seq=0)
            case _:
                return await super().send(service, id, command, timeout=timeout)

    async def _tell(self, wish: TellInstance) -> Accepted:
        cue = Wished(wish, instance_subject(wish.task_id), timedelta(seconds=120))
        facts = instance_life.decide(self._state(wish.task_id), cue)
        if facts:
            await self.say(wish.task_id, *facts, part="instance")
        told = ToldAnswer(message_id=wish.message_id, read=wish.read)
        return Accepted(seq=0, body=told.model_dump(mode="json"))

    def _state(self, task: str) -> instance.Instance | None:
        state: instance.Instance | None = None
        for event in owners.of(self.events, HOME, task):
            state = instance.evolve(state, event.fact, event.at)
        return state

    def _view(self, query: GetInstance) -> InstanceView:
        view: InstanceView | None = None
        for event in owners.of(self.events, HOME, query.task_id):
            view = fold_instance(view, event.fact, event.at, (HOME, query.task_id))
        if view is None:
            raise NotFound("there is no such instance", code="INSTANCE_NOT_FOUND")
        return view


async def working_at_home(*, opened: bool = True, executor: Executor = Executor.GITHUB_WORKFLOW) -> Home:
    """A task whose agent calls home, and said one thing."""
    world = Home(principal=AGENT)
    assignment = Assignment(repo="acme/shop", prompt="Fix the login bug.", executor=executor)
    made = TaskSubmitted(assignment=assignment, submitted_by="dev-agent-1", deadline_at=world.now())
    await world.say(TASK, made)
    if opened:
        await world.say(TASK, InstanceOpened(agent_type="claude", owner="dev-agent-1"), part="instance")
        await world.say(TASK, InstanceSaid(message_id=M1, text="Which colour?", asks=True), part="instance")
    return world


async def asking(world: World) -> None:
    """What the agent asked is asked of people too."""
    request = ApprovalRequested(
        approval_id=f"q{M1}", kind="input", subject="Which colour?", digest="a" * 64, requested_by=f"instance:{TASK}",
        about={"question": "Which colour?", "instance": TASK, "surface": "omnara", "offers": ["answer"]},
    )  # fmt: skip
    await world.say(TASK, request, part=f"approval-q{M1}")


async def read(caller: Caller) -> dict[str, Any]:
    shown: dict[str, Any] = (await caller.ask(f"GET /approvals/{QUESTION}")).body["approval"]
    return shown


async def test_a_question_is_listed_and_answered_by_whoever_gave_the_task_and_the_agent_is_told_at_once() -> None:
    world = await working_at_home()
    await asking(world)
    async with calling(world) as caller:
        (listed,) = (await caller.ask("GET /approvals/pending")).body["approvals"]
        assert (listed["approval_id"], listed["kind"], listed["subject"]) == (QUESTION, "input", "Which colour?")
        assert listed["about"]["offers"] == ["answer"]
        assert (await caller.ask(f"POST /approvals/{QUESTION}/approve", {"answer": "Red."})).status == 200
        shown = await read(caller)
    assert (shown["status"], shown["approved_by"], shown["allowance"]["answer"]) == ("approved", "dev-agent-1", "Red.")
    assert world.settled == (f"q{M1}",)


async def test_a_refusal_reaches_the_agent_too() -> None:
    world = await working_at_home()
    await asking(world)
    async with calling(world) as caller:
        assert (await caller.ask(f"POST /approvals/{QUESTION}/reject", {"reason": "Ask the designer."})).status == 200
    assert world.settled == (f"q{M1}",)


async def test_a_decision_stands_though_the_router_is_away() -> None:
    world = await working_at_home()
    world.away = True
    await asking(world)
    async with calling(world) as caller:
        assert (await caller.ask(f"POST /approvals/{QUESTION}/approve", {"answer": "Red."})).status == 200
        assert (await read(caller))["status"] == "approved"


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("approve", {}, 400),
        ("approve", {"answer": ""}, 400),
        ("approve", {"answer": " \n"}, 400),
        ("approve", {"answer": None}, 400),
        ("approve", {"answer": 5}, 422),
        ("approve", {"answer": "x" * (64 << 10 | 1)}, 400),
        ("approve", {"answer": "Red.", "scope": "run"}, 400),
        ("reject", {"answer": "Red."}, 422),
    ],
)
async def test_an_answer_says_something_and_nothing_else(verb: str, body: dict[str, Any], status: int) -> None:
    world = await working_at_home()
    await asking(world)
    async with calling(world) as caller:
        assert (await caller.ask(f"POST /approvals/{QUESTION}/{verb}", body)).status == status
        assert (await read(caller))["status"] == "pending"
    assert world.settled == ()


async def test_a_secret_in_an_answer_is_struck_out() -> None:
    world = await working_at_home()
    await asking(world)
    secret = "ghp_" + "a1B2" * 9
    async with calling(world) as caller:
        await caller.ask(f"POST /approvals/{QUESTION}/approve", {"answer": f"Use {secret} for it."})
        told = (await read(caller))["allowance"]["answer"]
    assert told.startswith("Use ") and secret not in told


async def test_what_is_said_to_such_a_task_is_a_message_of_its_conversation_and_answers_what_it_asked() -> None:
    world = await working_at_home()
    async with calling(world) as caller:
        key = {"Idempotency-Key": "k-1"}
        said = [await caller.ask(f"POST {AT}/messages", {"text": "Red."}, key) for _ in range(3)]
    assert [answer.status for answer in said] == [202, 202, 202]
    (told,) = [event.fact for event in world.events if isinstance(event.fact, InstanceTold)]
    assert (told.text, told.by, told.read, told.answers) == ("Red.", "dev-agent-1", False, M1)
    assert {answer.body["message_id"] for answer in said} == {told.message_id}


async def test_its_messages_are_listed_as_everywhere_else() -> None:
    world = await working_at_home()
    async with calling(world) as caller:
        ids = [(await caller.ask(f"POST {AT}/messages", {"text": text})).body["message_id"] for text in ("one", "two")]
        await world.say(TASK, InstanceRead(from_id=M1, to_id=ids[1], gave=tuple(ids)), part="instance")
        ids.append((await caller.ask(f"POST {AT}/messages", {"text": "two"})).body["message_id"])
        listed = (await caller.ask(f"GET {AT}/messages")).body
    assert [(one["message_id"], one["text"], one["state"]) for one in listed["messages"]] == [
        (ids[2], "two", "queued"), (ids[1], "two", "taken"), (ids[0], "one", "taken"),
    ]  # fmt: skip
    assert (listed["count"], listed["waiting"], listed["closed"], listed["paused"]) == (3, 1, False, False)


async def test_nobody_speaks_to_an_agent_that_is_not_there_yet() -> None:
    async with calling(await working_at_home(opened=False)) as caller:
        assert (await caller.ask(f"POST {AT}/messages", {"text": "a"})).status == 409
        assert (await caller.ask(f"GET {AT}/messages")).body["messages"] == []


async def test_an_agent_elsewhere_cannot_be_steered_and_nobody_goes_on_from_what_it_did() -> None:
    world = await working_at_home()
    async with calling(world) as caller:
        message = (await caller.ask(f"POST {AT}/messages", {"text": "a"})).body["message_id"]
        refused = [
            await caller.ask(f"PATCH {AT}/messages/{message}", {"text": "b"}),
            await caller.ask(f"DELETE {AT}/messages/{message}"),
            await caller.ask(f"POST {AT}/pause"),
        ]
        gone_on = await caller.ask(f"POST {AT}/continue", {"text": "more"})
    assert {(answer.status, "calls home" in answer.detail) for answer in refused} == {(409, True)}
    assert gone_on.status == 409 and "elsewhere" in gone_on.detail


async def test_a_reader_neither_answers_nor_speaks() -> None:
    world = await working_at_home()
    await asking(world)
    world.principal = USER
    async with calling(world) as caller:
        assert (await caller.ask(f"POST {AT}/messages", {"text": "a"})).status == 403
        assert (await caller.ask(f"POST /approvals/{QUESTION}/approve", {"answer": "Red."})).status == 403


@pytest.mark.parametrize(("said", "status"), [("github_workflow", 200), ("sandbox", 200), (None, 200), ("bus", 400), ("callback", 400)])
async def test_who_is_to_carry_a_task_out_may_be_said_with_it(said: str | None, status: int) -> None:
    world = working()
    async with calling(world) as caller:
        body = {"type": "bugfix", "payload": {}, "metadata": {"repo": "acme/shop", "executor": said}}
        assert (await caller.ask("POST /tasks", body)).status == status
    sent = [command.assignment.metadata["executor"] for command in world.sent if isinstance(command, SubmitTask)]
    assert sent == ([said] if status == 200 else [])
