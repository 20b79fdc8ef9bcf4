"""Somebody asks for an approval, or decides one."""

from __future__ import annotations

from datetime import datetime

from trunkline.contracts.approval import DecideApproval, RequestApproval
from trunkline.contracts.message import Accepted
from trunkline_approvals.model import ApprovalCommand, ExpireApproval, place, status
from trunkline_approvals.ports import Approvals, Expiries


class AnswerCommand:
    """The answer holds the `status` of the approval: pending, approved or rejected."""

    def __init__(self, approvals: Approvals, expiries: Expiries) -> None:
        self._approvals = approvals
        self._expiries = expiries

    async def request(self, command: RequestApproval) -> Accepted:
        """Raises Conflict, Invalid, Unavailable."""
        # The timer goes first: without its approval it does nothing, but an approval without its timer would wait for ever.
        if command.expires_at and command.expires_at > command.at:
            await self._expiries.set(command.expires_at, _wake(command, command.expires_at))
        return await self._carry_out(command)

    async def decide(self, command: DecideApproval) -> Accepted:
        """Raises Conflict, Denied, Invalid, NotFound, Unavailable."""
        return await self._carry_out(command)

    async def _carry_out(self, command: ApprovalCommand) -> Accepted:
        outcome = await self._approvals.receive(place(command), command, command.at, command.type)
        return Accepted(seq=outcome.seq, body={"status": status(outcome.state)})


def _wake(command: RequestApproval, at: datetime) -> ExpireApproval:
    return ExpireApproval(tenant=command.tenant, at=at, approval_id=command.approval_id, task_id=command.task_id)
