"""A timeline shown to whoever holds its link: the task as it stands, a page of what happened, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.auth import timeline_links
from trunkline.auth.principal import Principal, Role
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.views import TaskView
from trunkline_gateway.usecases.tasks import Tasks

PAGE: Final = 500
HEAD: Final = 50
"""Events among which a task is held and released, if it was."""
HOLDER: Final = "timeline link"


@dataclass(frozen=True, slots=True)
class Story:
    """`next` is where the next page begins; nothing on the last. `course` is what the picture of the time is drawn from."""

    view: TaskView
    items: Sequence[Event | Gap]
    course: Sequence[Event]
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class Shown:
    """`seal` is what links are signed with."""

    tasks: Tasks
    seal: bytes

    async def story(self, tenant: TenantId, task: TaskId, key: str, after: Cursor | None) -> Story:
        """Raises NotFound, for a link that we did not make as for a task that is not there any more."""
        if not timeline_links.opens(self.seal, tenant, task, key):
            raise NotFound("there is no such timeline")
        holder = Principal(tenant, HOLDER, Role.ADMIN)  # the link stands where only those look who may read the repository
        view = await self.tasks.task(holder, task)
        timeline = await self.tasks.timeline(holder, task)
        items, more = await self.tasks.page(timeline, after, PAGE)
        head = items if after is None else (await self.tasks.page(timeline, None, HEAD))[0]
        begun = {item.cursor: item for item in head if isinstance(item, Event)}
        ran = {event.cursor: event for event in await self.tasks.feed.run(tenant, task)}
        course = [event for _, event in sorted({**begun, **ran}.items())]
        last = next((item.cursor for item in reversed(items) if isinstance(item, Event)), None)
        return Story(view, items, course, last if more else None)
