"""Somebody asks for an approval, makes sure that one is asked, or decides one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from trunkline.contracts.approval import RELEASE, DecideApproval, OpenApproval, RequestApproval
from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Accepted
from trunkline_approvals.handlers.ask_for_release import AskForRelease
from trunkline_approvals.handlers.asking import Asking
from trunkline_approvals.model import place, standing
from trunkline_approvals.ports import Approvals

log = structlog.get_logger()


class AnswerCommand:
    """The body of each answer is an ApprovalAnswer; to `open` it is empty when the task is not held."""

    def __init__(self, approvals: Approvals, asking: Asking, ask_for_release: AskForRelease, now: Callable[[], datetime]) -> None:
        self._approvals = approvals
        self._asking = asking
        self._ask_for_release = ask_for_release
        self._now = now

    async def request(self, command: RequestApproval) -> Accepted:
        """Raises Conflict, Invalid, Unavailable."""
        if command.approval_id == RELEASE:  # whoever took this name first would say what lets the task begin
            raise Invalid("this name is kept for what lets a held task begin; ask under another", code="BAD_APPROVAL_ID")
        return await self._asking(command)

    async def open(self, command: OpenApproval) -> Accepted:
        """Raises NotFound, Conflict, Unavailable."""
        return await self._ask_for_release(command.tenant, command.task_id)

    async def decide(self, command: DecideApproval) -> Accepted:
        """By the clock by which it was asked and expires: that of whoever passed it on may be another.

        Raises Conflict, Denied, Invalid, NotFound, Unavailable.
        """
        decided = command.model_copy(update={"at": self._now()})
        outcome = await self._approvals.receive(place(command), decided, decided.at, command.type)
        stands = standing(outcome.state, decided)
        if outcome.facts:
            log.info(
                "approvals.decided", tenant=command.tenant, task=command.task_id, approval=command.approval_id, by=command.by,
                verdict=command.verdict, status=stands.status, votes=stands.votes, quorum=stands.quorum,
            )  # fmt: skip
        return Accepted(seq=outcome.seq, body=stands.model_dump(mode="json"))
