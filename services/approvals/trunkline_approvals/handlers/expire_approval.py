"""The moment has come at which an approval that nobody decided counts as rejected."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from trunkline.contracts.errors import NotFound
from trunkline_approvals.model import ExpireApproval, place
from trunkline_approvals.ports import Approvals, Expiries

log = structlog.get_logger()

SECOND_LOOK: Final = timedelta(seconds=60)
"""Longer than the bus retries an append (30 s): what is not stored by then never will be."""


class Expire:
    """Rejects what is still pending; what was decided meanwhile stays as it is."""

    def __init__(self, approvals: Approvals, expiries: Expiries, now: Callable[[], datetime]) -> None:
        self._approvals = approvals
        self._expiries = expiries
        self._now = now

    async def __call__(self, wake: ExpireApproval) -> None:
        """Raises Unavailable."""
        try:
            await self._approvals.receive(place(wake), wake, self._now(), "timer")
        except NotFound:
            await self._look_again(wake)

    async def _look_again(self, wake: ExpireApproval) -> None:
        # The timer was set before the approval was stored, and a short one may be faster than that.
        if wake.second_look:
            log.info("approvals.never_asked", tenant=wake.tenant, task=wake.task_id, approval=wake.approval_id)
            return
        await self._expiries.set(self._now() + SECOND_LOOK, wake.model_copy(update={"second_look": True}))
