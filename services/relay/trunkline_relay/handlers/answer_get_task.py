"""A reader asks for one task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic_core import from_json

from trunkline.contracts.errors import NotFound
from trunkline.contracts.message import Accepted
from trunkline.contracts.views import GetTask
from trunkline_relay.ports import Views


class AnswerGetTask:
    """Answers with the view; a task of another tenant is as unknown as one that never was."""

    def __init__(self, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
        self._views = views
        self._settled = settled

    async def __call__(self, query: GetTask) -> Accepted:
        """Raises NotFound, Unavailable."""
        await self._settled()
        text = self._views.task_text(query.tenant, query.task)
        if text is None:
            raise NotFound("there is no task by that name", code="TASK_NOT_FOUND", task=query.task[:200])
        view = from_json(text)  # who asked makes a view of it: here it would be made and taken apart again
        return Accepted(seq=view["seq"], body=view)
