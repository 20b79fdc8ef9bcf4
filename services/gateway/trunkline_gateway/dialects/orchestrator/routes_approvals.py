"""Approvals: what is open, what was decided, and deciding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.approval import Verdict
from trunkline.contracts.approval_views import ApprovalView, ListApprovals
from trunkline.contracts.errors import Conflict, NotFound
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import IDS, PARTS, Route, Spec
from trunkline_gateway.dialects.orchestrator import answers_approvals, decode_lists, encode_approvals, names
from trunkline_gateway.dialects.orchestrator.answering import json
from trunkline_gateway.dialects.orchestrator.schemas import (
    ApprovalPath,
    ApproveBody,
    DecisionBody,
    HistoryQuery,
    PendingQuery,
    ReasonQuery,
)
from trunkline_gateway.dialects.orchestrator.seal import Seal
from trunkline_gateway.usecases import Approvals
from trunkline_gateway.usecases.approvals import Decision

TAG: Final = "approvals"
_REFUSALS: Final = (400, 401, 403, 422, 429, 503)
PENDING: Final = Spec(
    "List what waits for a decision", TAG, query=PendingQuery, answers={200: answers_approvals.ApprovalList}, refusals=_REFUSALS
)
HISTORY: Final = Spec(
    "List what was decided", TAG, query=HistoryQuery, answers={200: answers_approvals.ApprovalHistory}, refusals=_REFUSALS
)
READ: Final = Spec(
    "Read an approval", TAG, path=ApprovalPath, answers={200: answers_approvals.ApprovalRead}, refusals=(401, 403, 404, 429, 503)
)
_DECIDE: Final = "Once only: a second decision is refused as if the approval were not there."
APPROVE: Final = Spec(
    "Approve",
    TAG,
    _DECIDE,
    path=ApprovalPath,
    query=ReasonQuery,
    body=ApproveBody,
    body_required=False,
    answers={200: answers_approvals.Decided},
    refusals=(*_REFUSALS, 404, 409, 413, 415),
)
REJECT: Final = replace(APPROVE, summary="Reject", body=DecisionBody)
OVER: Final = frozenset({"ALREADY_DECIDED", "ALREADY_VOTED", "EXPIRED"})
"""Refusals of a decision that came too late; the document knows them as 404."""
AT_ONCE: Final = 50
"""How many are asked of the relay at a time: each may carry the words of fifty people, and all must fit into one message."""


@dataclass(frozen=True, slots=True)
class ApprovalRoutes:
    approvals: Approvals
    body: BodyReader
    seal: Seal

    def routes(self) -> tuple[Route, ...]:
        one, read = "/approvals/{approval_id}", Action.READ_APPROVAL
        return (
            Route("GET", "/approvals/pending", read, self._pending, PENDING, "approvals.read"),
            Route("GET", "/approvals/history", read, self._history, HISTORY, "approvals.read"),
            Route("GET", one, read, self._read, READ, "approvals.read"),
            Route("POST", f"{one}/approve", Action.DECIDE_APPROVAL, self._approve, APPROVE, "approvals.approve"),
            Route("POST", f"{one}/reject", Action.DECIDE_APPROVAL, self._reject, REJECT, "approvals.reject"),
        )

    async def _pending(self, request: web.Request, principal: Principal) -> web.Response:
        query, cursor = decode_lists.pending(request.query, self.approvals.now())
        return json(encode_approvals.listed("approvals", *await self._listed(principal, query, cursor, query.limit)))

    async def _history(self, request: web.Request, principal: Principal) -> web.Response:
        query, cursor = decode_lists.history(request.query, self.approvals.now())
        return json(encode_approvals.listed("history", *await self._listed(principal, query, cursor, query.limit)))

    async def _read(self, request: web.Request, principal: Principal) -> web.Response:
        task, approval = names.read_approval(request[PARTS]["approval_id"])
        try:
            return json(encode_approvals.read(await self.approvals.approval(principal, task, approval)))
        except NotFound:
            raise names.unknown_approval() from None

    async def _approve(self, request: web.Request, principal: Principal) -> web.Response:
        return await self._decided(request, principal, Verdict.APPROVED)

    async def _reject(self, request: web.Request, principal: Principal) -> web.Response:
        return await self._decided(request, principal, Verdict.REJECTED)

    async def _decided(self, request: web.Request, principal: Principal, verdict: Verdict) -> web.Response:
        word = decode_lists.word(request.query, await self.body.json_if_any(request), verdict)
        task, approval = names.read_approval(request[PARTS]["approval_id"])
        decision = Decision(task, approval, verdict, request[IDS].id(), word.reason, word.digest, word.allowance)
        try:
            return json(encode_approvals.decided(await self.approvals.decide(principal, decision), verdict, principal))
        except NotFound:
            raise names.unknown_approval() from None
        except Conflict as error:
            raise (names.no_open_approval() if error.code in OVER else error) from None

    async def _listed(
        self, principal: Principal, query: ListApprovals, cursor: str | None, most: int
    ) -> tuple[list[ApprovalView], int, str | None]:
        """At most `most` from where the cursor says, how many there are in all, and the cursor of the next."""
        found: list[ApprovalView] = []
        place, total = self.seal.opened(principal, query, cursor), 0
        while len(found) < most:
            asked = query.model_copy(update={"limit": min(AT_ONCE, most - len(found)), "after": place})
            page = await self.approvals.list(principal, asked)
            found, total, place = [*found, *page.approvals], page.total, page.next
            if place is None or not page.approvals:
                break
        return found, total, self.seal.sealed(principal, query, place)
