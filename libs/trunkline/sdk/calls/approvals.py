"""Approvals: what waits for a decision, what was decided, and deciding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypedDict, Unpack

from pydantic import JsonValue

from trunkline.sdk.calls import Call, Page, check, cursors, known, part, words
from trunkline.sdk.credentials import Surface
from trunkline.sdk.models.approvals import Approval, ApprovalAnswer, Decided, HistoryList, PendingList
from trunkline.sdk.terms import CallRule

PAGE: Final = 100


class Yes(TypedDict, total=False):
    """What a yes may say and hold. `digest` is that of what was shown: a decision on anything else is refused.

    `scope` run: every call of the run that `rule` fits. `input`: what is to run instead. `usd`: what more may be spent.
    `answer`: what the agent is told that asked for input (kind `input`); it has to be there then.
    """

    reason: str
    digest: str
    scope: Literal["once", "run"]
    rule: CallRule
    input: Mapping[str, JsonValue]
    usd: float
    answer: str


def pending() -> Call[Page[Approval]]:
    """What waits for a decision, the oldest first."""
    return cursors(_pending, "/approvals/pending", {})


def history(*, page_size: int = PAGE) -> Call[Page[Approval]]:
    """What was decided, the last decided first."""
    return cursors(_history, "/approvals/history", words(limit=page_size))


def get(approval_id: str) -> Call[Approval]:
    return Call("GET", f"/approvals/{part(approval_id)}", Surface.TASKS, lambda raw: ApprovalAnswer.model_validate_json(raw).approval)


def approve(approval_id: str, **said: Unpack[Yes]) -> Call[Decided]:
    """Once only: NotFoundError for one that is unknown or decided already."""
    check("approve", said, Yes, "approval_id")
    return Call("POST", f"/approvals/{part(approval_id)}/approve", Surface.TASKS, _decided("approved"), body=known(**said))


def reject(approval_id: str, reason: str | None = None, digest: str | None = None) -> Call[Decided]:
    """Once only: NotFoundError for one that is unknown or decided already."""
    body = known(reason=reason, digest=digest)
    return Call("POST", f"/approvals/{part(approval_id)}/reject", Surface.TASKS, _decided("rejected"), body=body)


def _decided(verdict: str) -> Callable[[bytes], Decided]:
    """Reads an answer, which names no status where the decision is what was asked for."""

    def read(raw: bytes) -> Decided:
        found = Decided.model_validate_json(raw)
        return found if found.status else found.model_copy(update={"status": verdict})

    return read


def _pending(raw: bytes) -> tuple[tuple[Approval, ...], int, str | None]:
    found = PendingList.model_validate_json(raw)
    return found.approvals, found.total, found.next_cursor


def _history(raw: bytes) -> tuple[tuple[Approval, ...], int, str | None]:
    found = HistoryList.model_validate_json(raw)
    return found.history, found.total, found.next_cursor
