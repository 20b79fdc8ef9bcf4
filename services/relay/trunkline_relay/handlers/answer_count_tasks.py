"""A health check asks how much there is to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.contracts.message import Accepted
from trunkline.contracts.views import CountTasks
from trunkline_relay.ports import Views


class AnswerCountTasks:
    """Answers with the tasks of everybody, counted; as fresh as every other answer, since asking once a second costs little."""

    def __init__(self, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
        self._views = views
        self._settled = settled

    async def __call__(self, _: CountTasks) -> Accepted:
        """Raises Unavailable."""
        await self._settled()
        return Accepted(seq=self._views.checkpoint, body=self._views.counts().model_dump(mode="json"))
