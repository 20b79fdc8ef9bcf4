"""A question is put to people: the rules are chosen, the timer is set, the question is stored, whoever is to know is named."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from trunkline.contracts.approval import ApprovalRequested, RequestApproval
from trunkline.contracts.message import Accepted, Fact
from trunkline.runtime.faults import faultpoint
from trunkline_approvals.model import Ask, ExpireApproval, Rule, choose, expiry, place, standing
from trunkline_approvals.ports import Approvals, Expiries

log = structlog.get_logger()


class Asking:
    """Asks once, however often it is told to."""

    def __init__(self, approvals: Approvals, expiries: Expiries, rules: Sequence[Rule]) -> None:
        self._approvals = approvals
        self._expiries = expiries
        self._rules = rules

    async def __call__(self, request: RequestApproval) -> Accepted:
        """The answer holds how the approval stands. Raises Conflict, Invalid, Unavailable."""
        cue = Ask(request, choose(self._rules, request))
        where = place(request)
        if await self._approvals.state(where, 1) is None:
            await self._set_timer(cue)
        outcome = await self._approvals.receive(where, cue, request.at, request.type)
        _tell(request, outcome.facts)
        return Accepted(seq=outcome.seq, body=standing(outcome.state, request).model_dump(mode="json"))

    async def _set_timer(self, cue: Ask) -> None:
        # The timer goes first: without its approval it does nothing, but an approval without its timer would wait for ever.
        request, at = cue.request, expiry(cue.rule, cue.request)
        if at and at > request.at:
            wake = ExpireApproval(tenant=request.tenant, at=at, approval_id=request.approval_id, task_id=request.task_id)
            await self._expiries.set(at, wake)
            faultpoint("approval.timer_set")


def _tell(request: RequestApproval, facts: Sequence[Fact]) -> None:
    for fact in facts:
        if isinstance(fact, ApprovalRequested):
            log.info(
                "approvals.asked", tenant=request.tenant, task=request.task_id, approval=fact.approval_id, kind=fact.kind,
                policy=fact.policy.name, notify=fact.policy.first.notify, expires_at=fact.expires_at and fact.expires_at.isoformat(),
            )  # fmt: skip
