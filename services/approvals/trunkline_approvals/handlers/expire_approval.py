"""The time of a stage is up: what nobody decided is ended, held or put to others, as its policy says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from trunkline.contracts.approval import ApprovalEscalated
from trunkline.contracts.errors import NotFound
from trunkline.contracts.message import Fact
from trunkline.runtime.faults import faultpoint
from trunkline_approvals.model import Approval, ExpireApproval, Forestalled, TimeUp, next_wake, place
from trunkline_approvals.ports import Approvals, Expiries

log = structlog.get_logger()

LOOKS: Final = tuple(timedelta(seconds=pause) for pause in (1, 4, 15, 45))
"""Pauses before the further looks; together longer than the bus retries an append (30 s): what is not stored by then never will be."""


class Expire:
    """Does what the policy says with what is still open; what was decided meanwhile stays as it is."""

    def __init__(self, approvals: Approvals, expiries: Expiries, now: Callable[[], datetime]) -> None:
        self._approvals = approvals
        self._expiries = expiries
        self._now = now

    async def __call__(self, wake: ExpireApproval) -> None:
        """Raises Unavailable."""
        # What is not there yet is left alone, though it may be there a moment later: its policy says which timer must be set before.
        match await self._approvals.state(place(wake), 1):
            case Approval() as approval:
                await self._end_stage(approval, TimeUp(wake, self._now()))
            case None:
                await self._look_again(wake)
            case Forestalled():
                pass

    async def _end_stage(self, approval: Approval, cue: TimeUp) -> None:
        following = next_wake(approval, cue)
        if following:
            # Before the fact, as with the first one: a stage without its timer would wait for ever.
            await self._expiries.set(following.at, following)
            faultpoint("approval.stage_timer_set")
        try:
            outcome = await self._approvals.receive(place(cue.wake), cue, cue.now, "timer")
        except NotFound:
            await self._look_again(cue.wake)
        else:
            _tell(cue.wake, outcome.facts)

    async def _look_again(self, wake: ExpireApproval) -> None:
        # The timer was set before what it ends was stored, and a short one may be faster than that.
        if wake.looks == len(LOOKS):
            log.info("approvals.never_asked", tenant=wake.tenant, task=wake.task_id, approval=wake.approval_id, stage=wake.stage)
            return
        await self._expiries.set(self._now() + LOOKS[wake.looks], wake.model_copy(update={"looks": wake.looks + 1}))


def _tell(wake: ExpireApproval, facts: Sequence[Fact]) -> None:
    for fact in facts:
        notify = fact.notify if isinstance(fact, ApprovalEscalated) else ()
        name = "approvals.escalated" if isinstance(fact, ApprovalEscalated) else "approvals.expired"
        log.info(name, tenant=wake.tenant, task=wake.task_id, approval=wake.approval_id, stage=wake.stage, notify=notify)
