"""What a surface has said about one task so far, for whoever asks again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from trunkline.auth.policy import sees
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event
from trunkline.contracts.task import TaskSubmitted
from trunkline.contracts.views import GetTask, TaskView
from trunkline_gateway.ports import Timeline
from trunkline_gateway.usecases.tasks import NO_ID, RELAY, Tasks
from trunkline_gateway.usecases.telling import Spoken, State, Story


@dataclass(frozen=True, slots=True)
class Results(Generic[State]):
    """The polling form of a channel: the same fold, over one timeline."""

    tasks: Tasks
    story: Story[State]
    begin: Callable[[TaskId, TaskSubmitted], State | None]
    """As that of the story, for one who may see the task."""

    async def of(self, principal: Principal, alias: str) -> tuple[State, tuple[Spoken, ...]]:
        """Where it stands and all that was said. Raises NotFound, also for what the caller may not see; Unavailable."""
        view = await self._view(principal, alias)
        task, said = TaskId(view.task_id), list[Spoken]()
        made = await self.tasks.feed.submission(principal.tenant, task)
        state = self.begin(task, made) if made else None
        if state is None:
            raise _unknown()
        async for item in self.tasks.feed.recent(Timeline(TenantId(view.tenant), task), None):
            if isinstance(item, Event):
                state, more = self.story.over(state, item)
                said += more
        return state, tuple(said)

    async def _view(self, principal: Principal, alias: str) -> TaskView:
        command = GetTask(tenant=principal.tenant, at=self.tasks.now(), task=alias)
        try:
            view = TaskView.model_validate((await self.tasks.commands.send(RELAY, NO_ID, command)).body)
        except NotFound:
            raise _unknown() from None
        if not sees(principal, view.submitted_by, view.assignment.visibility):
            raise _unknown()
        return view


def _unknown() -> NotFound:
    return NotFound("there is no task by that name", code="TASK_NOT_FOUND")
