"""A reader asks what the models of a tenant cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Accepted
from trunkline.contracts.usage import MOST_DAYS, GetUsage
from trunkline_relay.ports import Views


class AnswerUsage:
    """Answers with one row for each model and day."""

    def __init__(self, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
        self._views = views
        self._settled = settled

    async def __call__(self, query: GetUsage) -> Accepted:
        """Raises Invalid for a time that is none or too long, Unavailable."""
        if not 0 <= (query.until - query.since).days < MOST_DAYS:
            raise Invalid(f"ask for one day to {MOST_DAYS} days, the first one first", code="BAD_PERIOD")
        await self._settled()
        return Accepted(seq=self._views.checkpoint, body=self._views.usage(query).model_dump(mode="json"))
