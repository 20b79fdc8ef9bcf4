"""What can be said to a running agent: messages that wait in a queue until it takes them, and to interrupt, pause or resume it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trunkline.auth.principal import Principal
from trunkline.contracts.ids import TaskId
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
from trunkline_gateway.ports import Commands
from trunkline_gateway.usecases.tasks import Tasks

OWNER: Final = "sandbox"


@dataclass(frozen=True, slots=True)
class Steering:
    """Every verb raises NotFound, and all but `messages` Conflict when the task is over, about to be, or not carried out by us.

    Each may raise Unavailable.
    """

    commands: Commands
    tasks: Tasks
    now: Callable[[], datetime]

    async def say(self, principal: Principal, task: TaskId, text: str, *, id: str) -> None:
        """Returns when it is on disk; the same `id` again is the same message. Raises Invalid for one that is too long."""
        await self.tasks.check_own(principal, task)
        await self.commands.send(OWNER, task, SayToAgent(message_id=id, text=text, **self._wish(principal, task)))

    async def messages(self, principal: Principal, task: TaskId) -> MessageQueueView:
        """As the log has them at this moment."""
        await self.tasks.check_own(principal, task)
        command = ListMessages(tenant=principal.tenant, at=self.now(), task_id=task)
        return MessageQueueView.model_validate((await self.commands.send(OWNER, task, command)).body)

    async def edit(self, principal: Principal, task: TaskId, message: str, text: str) -> None:
        """Raises Conflict once it is taken or withdrawn, Invalid for a text that is too long."""
        await self.tasks.check_own(principal, task)
        await self.commands.send(OWNER, task, EditMessage(message_id=message, text=text, **self._wish(principal, task)))

    async def withdraw(self, principal: Principal, task: TaskId, message: str) -> None:
        """Raises Conflict once it is taken."""
        await self.tasks.check_own(principal, task)
        await self.commands.send(OWNER, task, WithdrawMessage(message_id=message, **self._wish(principal, task)))

    async def reorder(self, principal: Principal, task: TaskId, messages: tuple[str, ...]) -> None:
        """Raises Conflict unless exactly the messages that wait are named, Invalid when one is named twice."""
        await self.tasks.check_own(principal, task)
        await self.commands.send(OWNER, task, ReorderMessages(message_ids=messages, **self._wish(principal, task)))

    async def steer(self, principal: Principal, task: TaskId, steer: Steer, *, id: str) -> None:
        """Returns when the wish is on disk; what came of it is told on the timeline. What is so already stays so."""
        await self.tasks.check_own(principal, task)
        await self.commands.send(OWNER, task, SteerRun(wish_id=id, steer=steer, **self._wish(principal, task)))

    def _wish(self, principal: Principal, task: TaskId) -> dict[str, Any]:
        return {"tenant": principal.tenant, "at": self.now(), "task_id": task, "by": principal.subject}
