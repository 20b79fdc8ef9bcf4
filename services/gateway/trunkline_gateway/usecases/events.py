"""Publishing: somebody tells everybody something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.auth.principal import Principal
from trunkline.contracts.ids import TaskId
from trunkline.contracts.task import EventPublished, PublishEvent
from trunkline_gateway.ports import Commands
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.tasks import Tasks

OWNER: Final = "router"
NO_ID: Final = "-"


@dataclass(frozen=True, slots=True)
class Events:
    commands: Commands
    tasks: Tasks
    now: Callable[[], datetime]

    async def publish(self, principal: Principal, event: EventPublished, *, task: TaskId | None, id: str) -> None:
        """Returns when it is on disk; the same `id` again says it once. Raises NotFound for a task that is not there, Unavailable."""
        if task:
            await self.tasks.check(principal, task)
        said = event.model_copy(update={"by": principal.subject, "payload": struck.values(event.payload)})
        command = PublishEvent(tenant=principal.tenant, at=self.now(), event_id=id, task_id=task, event=said)
        await self.commands.send(OWNER, task or NO_ID, command)
