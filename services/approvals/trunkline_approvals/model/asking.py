"""A question is asked: once, for one act, under the policy of that moment."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from trunkline.contracts.approval import ApprovalDecided, ApprovalRequested, DecidedBy, RequestApproval
from trunkline.contracts.errors import Conflict, Invalid
from trunkline.contracts.message import Fact
from trunkline_approvals.model.cues import Ask
from trunkline_approvals.model.rules import Rule
from trunkline_approvals.model.state import Forestalled, State

_SHA256 = re.compile(r"\A[0-9a-f]{64}\Z")


def ask(state: State | None, cue: Ask) -> tuple[Fact, ...]:
    """Raises Conflict where the id stands for another act, and Invalid."""
    request = cue.request
    if isinstance(state, Forestalled):
        return ()
    if state:
        if state.asked.digest == request.digest:
            return ()
        raise Conflict(
            "this approval was asked for another act before; ask under a new id", code="DIGEST_DIFFERS", approval_id=request.approval_id
        )
    _check_form(request)
    return (_asked(request, cue.rule), *_at_once(request, cue.rule))


def expiry(rule: Rule, request: RequestApproval) -> datetime | None:
    """When the first stage's time is up: as the policy says, or earlier where the request says so; None: never."""
    if rule.verdict:
        return None
    first = rule.policy.first.expires_s
    moments = [moment for moment in (request.expires_at, first and request.at + timedelta(seconds=first)) if moment]
    return min(moments, default=None)


def _asked(request: RequestApproval, rule: Rule) -> ApprovalRequested:
    return ApprovalRequested(
        approval_id=request.approval_id,
        kind=request.kind,
        subject=request.subject,
        digest=request.digest,
        requested_by=request.requested_by,
        about=request.about,
        policy=rule.policy,
        expires_at=expiry(rule, request),
    )


def _at_once(request: RequestApproval, rule: Rule) -> tuple[Fact, ...]:
    if rule.verdict is None:
        return ()
    decided = ApprovalDecided(
        approval_id=request.approval_id,
        verdict=rule.verdict,
        decided_by=DecidedBy.POLICY,
        by=rule.policy.name,
        reason="the rules decide this without asking anybody",
        digest=request.digest,
    )
    return (decided,)


def _check_form(request: RequestApproval) -> None:
    if not _SHA256.match(request.digest):
        raise Invalid("the digest must be the SHA-256 of the act, 64 lower-case hex digits", code="BAD_DIGEST")
    if request.expires_at and request.expires_at <= request.at:
        raise Invalid("the approval would expire before it is asked for; give a later time", code="EXPIRY_PASSED")
