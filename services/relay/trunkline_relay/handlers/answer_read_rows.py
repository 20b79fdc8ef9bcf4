"""The doctor asks what the views hold, to compare it with the log folded anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.contracts.message import Accepted
from trunkline.contracts.view_rows import ReadRows
from trunkline_relay.ports import Views


class AnswerReadRows:
    """Answers with rows that hold the log up to the sequence that comes with them."""

    def __init__(self, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
        self._views = views
        self._settled = settled

    async def __call__(self, query: ReadRows) -> Accepted:
        """Raises Unavailable."""
        await self._settled()
        return Accepted(seq=self._views.checkpoint, body=self._views.rows(query).model_dump(mode="json"))
