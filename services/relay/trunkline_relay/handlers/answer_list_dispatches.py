"""A reader asks which workflows were started in a repository, or for a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.contracts.dispatch_views import ListDispatches
from trunkline.contracts.message import Accepted
from trunkline_relay.ports import Views


class AnswerListDispatches:
    """Answers with the newest, and how many there are."""

    def __init__(self, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
        self._views = views
        self.settled = settled

    async def __call__(self, query: ListDispatches) -> Accepted:
        """Raises Unavailable."""
        await self.settled()
        return Accepted(seq=self._views.checkpoint, body=self._views.dispatches(query).model_dump(mode="json"))
