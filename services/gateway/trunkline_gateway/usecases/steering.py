"""What can be said to an agent: messages that wait until it takes them, and, where it is ours, to interrupt, pause or resume it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trunkline.auth.principal import Principal
from trunkline.contracts.errors import Conflict, NotFound
from trunkline.contracts.ids import TaskId, message_id
from trunkline.contracts.instance import GetInstance, TellInstance, ToldAnswer
from trunkline.contracts.instance_views import InstanceView
from trunkline.contracts.steering import (
    EditMessage,
    ListMessages,
    MessageQueueView,
    ReorderMessages,
    SayToAgent,
    Steer,
    SteerRun,
    WithdrawMessage,
)
from trunkline.contracts.task import HOME_EXECUTORS
from trunkline_gateway.ports import Commands
from trunkline_gateway.usecases import spoken, struck
from trunkline_gateway.usecases.tasks import ROUTER, Tasks

OWNER: Final = "sandbox"
NOT_YOURS: Final = "NOT_YOURS"
AT_HOME: Final = "its agent runs elsewhere and calls home: it can be told something, or the task be cancelled, and no more"


@dataclass(frozen=True, slots=True)
class Steering:
    """Every verb raises NotFound, and all but `messages` Conflict when the task is over, about to be, or not carried out by us.

    Each may raise Unavailable.
    """

    commands: Commands
    tasks: Tasks
    now: Callable[[], datetime]

    async def say(self, principal: Principal, task: TaskId, text: str, *, id: str) -> str:
        """Returns when it is on disk, with the name that the message has; the same `id` again is the same message.

        Raises Invalid for one that is too long.
        """
        await self.tasks.check_own(principal, task)
        if await self._calls_home(principal, task):
            return await self._tell(principal, task, text, id)
        await self.commands.send(OWNER, task, SayToAgent(message_id=id, text=text, **self._wish(principal, task)))
        return id

    async def messages(self, principal: Principal, task: TaskId) -> MessageQueueView:
        """As the log has them at this moment."""
        await self.tasks.check_own(principal, task)
        if await self._calls_home(principal, task):
            return await self._told(principal, task)
        command = ListMessages(tenant=principal.tenant, at=self.now(), task_id=task)
        return MessageQueueView.model_validate((await self.commands.send(OWNER, task, command)).body)

    async def edit(self, principal: Principal, task: TaskId, message: str, text: str) -> None:
        """Raises Conflict once it is taken or withdrawn, Invalid for a text that is too long."""
        await self.tasks.check_own(principal, task)
        await self._sent(principal, task, EditMessage(message_id=message, text=text, **self._wish(principal, task)))

    async def withdraw(self, principal: Principal, task: TaskId, message: str) -> None:
        """Raises Conflict once it is taken."""
        await self.tasks.check_own(principal, task)
        await self._sent(principal, task, WithdrawMessage(message_id=message, **self._wish(principal, task)))

    async def reorder(self, principal: Principal, task: TaskId, messages: tuple[str, ...]) -> None:
        """Raises Conflict unless exactly the messages that wait are named, Invalid when one is named twice."""
        await self.tasks.check_own(principal, task)
        await self._sent(principal, task, ReorderMessages(message_ids=messages, **self._wish(principal, task)))

    async def steer(self, principal: Principal, task: TaskId, steer: Steer, *, id: str) -> None:
        """Returns when the wish is on disk; what came of it is told on the timeline. What is so already stays so."""
        await self.tasks.check_own(principal, task)
        await self._sent(principal, task, SteerRun(wish_id=id, steer=steer, **self._wish(principal, task)))

    async def _sent(self, principal: Principal, task: TaskId, wish: EditMessage | WithdrawMessage | ReorderMessages | SteerRun) -> None:
        try:
            await self.commands.send(OWNER, task, wish)
        except Conflict as error:
            if error.code == NOT_YOURS and await self._calls_home(principal, task):
                raise Conflict(AT_HOME, code=NOT_YOURS) from None
            raise

    async def _calls_home(self, principal: Principal, task: TaskId) -> bool:
        """Its agent is elsewhere, and has a conversation. What the log no longer keeps is over, whoever had it."""
        made = await self.tasks.feed.submission(principal.tenant, task)
        return made is not None and made.assignment.executor in HOME_EXECUTORS

    async def _tell(self, principal: Principal, task: TaskId, text: str, id: str) -> str:
        wish = TellInstance(
            message_id=message_id(task, id), text=struck.text(text), read=False, named=True, **self._wish(principal, task)
        )  # fmt: skip
        try:
            return ToldAnswer.model_validate((await self.commands.send(ROUTER, task, wish)).body).message_id
        except NotFound:
            raise Conflict("the task has not begun, and nobody hears what is said to it; wait until it is allowed", code="HELD") from None

    async def _told(self, principal: Principal, task: TaskId) -> MessageQueueView:
        command = GetInstance(tenant=principal.tenant, at=self.now(), task_id=task, messages=spoken.MOST_READ)
        try:
            return spoken.queue(InstanceView.model_validate((await self.commands.send(ROUTER, task, command)).body))
        except NotFound:
            return MessageQueueView(task_id=task, messages=())

    def _wish(self, principal: Principal, task: TaskId) -> dict[str, Any]:
        return {"tenant": principal.tenant, "at": self.now(), "task_id": task, "by": principal.subject}
