"""A reader asks for one approval."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.contracts.approval_views import GetApproval
from trunkline.contracts.errors import NotFound
from trunkline.contracts.message import Accepted
from trunkline_relay.ports import Views


class AnswerGetApproval:
    """Answers with the view; an approval of another tenant is as unknown as one that never was."""

    def __init__(self, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
        self._views = views
        self._settled = settled

    async def __call__(self, query: GetApproval) -> Accepted:
        """Raises NotFound, Unavailable."""
        await self._settled()
        view = self._views.approval(query.tenant, query.task_id, query.approval_id)
        if view is None:
            raise NotFound("there is no approval by that name", code="APPROVAL_NOT_FOUND", approval=query.approval_id[:200])
        return Accepted(seq=view.seq, body=view.model_dump(mode="json"))
