"""Somebody says something to an agent, changes or withdraws it, interrupts, pauses or resumes it, or reads what was said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.errors import Conflict, Invalid, NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.steering import MOST_TEXT, EditMessage, ListMessages, ReorderMessages, SayToAgent, Steer, SteerRun, WithdrawMessage
from trunkline.contracts.task import ENDS, Assignment, Executor, TaskAssigned, TaskSubmitted
from trunkline.telemetry.redaction import Redactor
from trunkline_sandbox.handlers.inbox import Inboxes
from trunkline_sandbox.model import Skill
from trunkline_sandbox.model.inbox import Asked, may_hear, shown

Knowing = Callable[[TenantId, str, Assignment], Awaitable[Redactor]]
S = TypeVar("S", SayToAgent, EditMessage)
Wish = SayToAgent | EditMessage | WithdrawMessage | ReorderMessages | SteerRun
FIRST: Final = 1


@dataclass(frozen=True, slots=True)
class _Task:
    """What the inbox has to know of a task."""

    attempt: int
    assignment: Assignment
    over: bool

    @property
    def ours(self) -> bool:
        return self.assignment.executor is Executor.SANDBOX


class AnswerInbox:
    """Every command may be repeated. Each raises NotFound, Conflict (over, ending, another's, taken), Invalid, Unavailable.

    `skill` tells what the agent of a task can do, `knowing` what knows the secrets of a task.
    """

    def __init__(self, inboxes: Inboxes, events: Log, knowing: Knowing, skill: Callable[[Assignment], Skill]) -> None:
        self._inboxes = inboxes
        self._events = events
        self._knowing = knowing
        self._skill = skill

    async def say(self, wish: SayToAgent) -> Accepted:
        return await self._answered(_sized(wish))

    async def edit(self, wish: EditMessage) -> Accepted:
        return await self._answered(_sized(wish))

    async def withdraw(self, wish: WithdrawMessage) -> Accepted:
        return await self._answered(wish)

    async def reorder(self, wish: ReorderMessages) -> Accepted:
        return await self._answered(wish)

    async def steer(self, wish: SteerRun) -> Accepted:
        if wish.steer is Steer.INTERRUPT:
            self._check_interrupts(await self._task(wish.tenant, wish.task_id))
        return await self._answered(wish)

    async def list(self, wish: ListMessages) -> Accepted:
        """The body is a MessageQueueView. Raises NotFound, Unavailable."""
        task = await self._task(wish.tenant, wish.task_id)
        last = await self._events.last(subject := _subject(wish.tenant, wish.task_id))
        state = await self._inboxes.state(subject, last.seq) if last else None
        view = shown(state, wish.task_id, task.attempt)
        body = view.model_copy(update={"closed": view.closed or task.over}).model_dump(mode="json")
        return Accepted(seq=last.seq if last else 0, body=body)

    def _check_interrupts(self, task: _Task) -> None:
        """What would do nothing is not taken. Raises Conflict."""
        may_hear(task.ours, task.over)
        if not self._skill(task.assignment).interrupt:
            raise Conflict("this agent cannot be interrupted; pause the task, or cancel it", code="CANNOT_INTERRUPT")

    async def _answered(self, wish: Wish) -> Accepted:
        task = await self._task(wish.tenant, wish.task_id)
        may_hear(task.ours, task.over)
        if isinstance(wish, SayToAgent | EditMessage):  # secrets reach neither the log nor the agent
            knowing = await self._knowing(TenantId(wish.tenant), wish.task_id, task.assignment)
            wish = wish.model_copy(update={"text": knowing.text(wish.text)})
        outcome = await self._inboxes.receive(_subject(wish.tenant, wish.task_id), Asked(wish, task.attempt), wish.at, wish.type)
        return Accepted(seq=outcome.seq)

    async def _task(self, tenant: str, task: str) -> _Task:
        """Raises NotFound."""
        loaded = await self._events.load(subjects.event(TenantId(tenant), TaskId(task), subjects.TASK))
        facts = [fact for stored in loaded.records for fact in stored.record.facts]
        submitted = next((fact for fact in facts if isinstance(fact, TaskSubmitted)), None)
        if submitted is None:
            raise NotFound("there is no task by that id", code="TASK_NOT_FOUND", task=task)
        attempt = max((fact.attempt for fact in facts if isinstance(fact, TaskAssigned)), default=FIRST)
        over = any(isinstance(fact, ENDS) for fact in facts)
        return _Task(attempt, submitted.assignment, over)


def _sized(wish: S) -> S:
    """Raises Invalid."""
    if len(wish.text.encode("utf-8", "surrogatepass")) > MOST_TEXT:
        raise Invalid(f"a message has at most {MOST_TEXT} bytes; put what is longer into the repository", code="MESSAGE_TOO_LONG")
    return wish


def _subject(tenant: str, task: str) -> str:
    return subjects.event(TenantId(tenant), TaskId(task), subjects.INBOX)
