"""A reader asks for a page of approvals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.contracts.approval_views import ListApprovals
from trunkline.contracts.message import Accepted
from trunkline_relay.model.pages import brief_approvals, check_approvals
from trunkline_relay.ports import Views


class AnswerListApprovals:
    """Answers with the page, what is long cut."""

    def __init__(self, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
        self._views = views
        self._settled = settled

    async def __call__(self, query: ListApprovals) -> Accepted:
        """Raises Invalid, Unavailable."""
        check_approvals(query)
        await self._settled()
        page = brief_approvals(self._views.approvals(query))
        return Accepted(seq=self._views.checkpoint, body=page.model_dump(mode="json"))
