"""A reader asks for everything that carries one trace id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.contracts.errors import NotFound
from trunkline.contracts.message import Accepted
from trunkline.contracts.views import GetTrace
from trunkline_relay.model.pages import brief_trace, check_trace
from trunkline_relay.ports import Views


class AnswerTrace:
    """Answers with the trace, what is long cut; a trace of another tenant is as unknown as one that never was."""

    def __init__(self, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
        self._views = views
        self._settled = settled

    async def __call__(self, query: GetTrace) -> Accepted:
        """Raises Invalid, NotFound, Unavailable."""
        check_trace(query)
        await self._settled()
        trace = brief_trace(self._views.trace(query))
        if not trace.tasks and not trace.events:
            raise NotFound("nothing carries that trace id", code="TRACE_NOT_FOUND", trace_id=query.trace_id)
        return Accepted(seq=self._views.checkpoint, body=trace.model_dump(mode="json"))
