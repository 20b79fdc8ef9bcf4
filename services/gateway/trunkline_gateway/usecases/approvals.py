"""What can be asked about approvals: which are open, how one stands, what was decided, and to decide."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.auth.policy import sees_approvals
from trunkline.auth.principal import Principal
from trunkline.contracts.approval import RELEASE, ApprovalAnswer, DecideApproval, Verdict
from trunkline.contracts.approval_views import PENDING, ApprovalPage, ApprovalView, GetApproval, ListApprovals
from trunkline.contracts.calls import Allowance
from trunkline.contracts.errors import NotFound, Unavailable
from trunkline.contracts.ids import ApprovalId, TaskId
from trunkline.contracts.instance import SettleInput, question_id
from trunkline.contracts.message import Command
from trunkline.contracts.task import SettleHold
from trunkline_gateway.ports import Commands
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.tasks import Tasks

OWNER: Final = "approvals"
RELAY: Final = "relay"
ROUTER: Final = "router"
SETTLES_WITHIN: Final = 2.0
NO_ID: Final = "-"
_QUESTION: Final = re.compile(question_id("[0-9a-f]{32}"))


@dataclass(frozen=True, slots=True)
class Decision:
    """One person's word on one approval. `id` tells a repeat of it from a second one."""

    task: TaskId
    approval: ApprovalId
    verdict: Verdict
    id: str
    reason: str = ""
    digest: str | None = None
    """Of what the person was shown, where the client says so."""
    allowance: Allowance | None = None
    """What a yes holds beyond yes."""


@dataclass(frozen=True, slots=True)
class Approvals:
    """Every verb may raise Unavailable."""

    commands: Commands
    tasks: Tasks
    now: Callable[[], datetime]

    async def list(self, principal: Principal, query: ListApprovals) -> ApprovalPage:
        """Raises Invalid."""
        whose = None if sees_approvals(principal) else principal.subject
        asked = query.model_copy(update={"tenant": principal.tenant, "at": self.now(), "seen_by": whose})
        return ApprovalPage.model_validate((await self.commands.send(RELAY, NO_ID, asked)).body)

    async def approval(self, principal: Principal, task: TaskId, approval: ApprovalId) -> ApprovalView:
        """Raises NotFound."""
        await self._check(principal, task)
        command = GetApproval(tenant=principal.tenant, at=self.now(), task_id=task, approval_id=approval)
        return ApprovalView.model_validate((await self.commands.send(RELAY, task, command)).body)

    async def decide(self, principal: Principal, decision: Decision) -> ApprovalAnswer:
        """Raises NotFound; Denied where the rules of the approval do not let the caller decide; Conflict once it is decided; Invalid
        for an allowance that was not offered."""
        await self._check(principal, decision.task)
        command = DecideApproval(
            tenant=principal.tenant,
            at=self.now(),
            approval_id=decision.approval,
            task_id=decision.task,
            decision_id=decision.id,
            verdict=decision.verdict,
            digest=decision.digest,
            by=principal.subject,
            role=principal.role,
            reason=struck.text(decision.reason),
            allowance=_clean(decision.allowance),
        )
        answer = ApprovalAnswer.model_validate((await self.commands.send(OWNER, decision.task, command)).body)
        if answer.status != PENDING and (settles := self._settling(principal, decision)):
            with suppress(Unavailable, NotFound):  # it was decided, and that is what we answer
                await self.commands.send(ROUTER, decision.task, settles, timeout=SETTLES_WITHIN)
        return answer

    async def _check(self, principal: Principal, task: TaskId) -> None:
        if not sees_approvals(principal):
            await self.tasks.check(principal, task)

    def _settling(self, principal: Principal, decision: Decision) -> Command | None:
        """The router hears of it by itself too, or looks when the agent asks again. This is so that whoever got our answer finds the task
        released, or cancelled, and the agent answered."""
        tenant, at, task = principal.tenant, self.now(), decision.task
        if decision.approval == RELEASE:
            return SettleHold(tenant=tenant, at=at, task_id=task)
        # A run may give such a name to what it asks about: then the router knows of no instance, and says so.
        asks = _QUESTION.fullmatch(decision.approval) is not None
        return SettleInput(tenant=tenant, at=at, task_id=task, approval_id=decision.approval) if asks else None


def _clean(allowance: Allowance | None) -> Allowance | None:
    """What is to run instead, and what the agent is told, is stored, and reaches it."""
    if allowance is None:
        return None
    clean: dict[str, object] = {}
    if allowance.input is not None:
        clean["input"] = struck.values(allowance.input)
    if allowance.answer is not None:
        clean["answer"] = struck.text(allowance.answer)
    return allowance.model_copy(update=clean) if clean else allowance
