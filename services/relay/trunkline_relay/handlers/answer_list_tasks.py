"""A reader asks for a page of tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.contracts.message import Accepted
from trunkline.contracts.views import ListTasks
from trunkline_relay.model.pages import brief_tasks, check_tasks
from trunkline_relay.ports import Views


class AnswerListTasks:
    """Answers with the page, what is long cut."""

    def __init__(self, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
        self._views = views
        self._settled = settled

    async def __call__(self, query: ListTasks) -> Accepted:
        """Raises Invalid, Unavailable."""
        check_tasks(query)
        await self._settled()
        page = brief_tasks(self._views.tasks(query))
        return Accepted(seq=self._views.checkpoint, body=page.model_dump(mode="json"))
