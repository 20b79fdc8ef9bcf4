"""Views of dispatches: what was started at GitHub, how often it was tried, and how it stands, folded by a pure function."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from trunkline.contracts.dispatch import (
    COMPLETED,
    DispatchGivenUp,
    DispatchTried,
    DispatchWanted,
    InstanceKeyRevoked,
    KeyMinted,
    Outcome,
    WorkflowCancelTried,
    WorkflowRun,
    WorkflowRunSeen,
)
from trunkline.contracts.forge import one_name
from trunkline.contracts.message import Command, Fact, Message
from trunkline.contracts.record import Event

MOST_TRIES = 20


class DispatchTry(Message):
    """One request to GitHub."""

    number: int
    outcome: Outcome
    status: int | None = None
    error: str = ""
    at: datetime


class DispatchView(Message):
    """A dispatch as a reader sees it."""

    tenant: str
    task_id: str
    repo: str
    """As `one_name` has it."""
    shown_repo: str
    event_type: str
    agent_type: str
    branch: str
    key: KeyMinted
    revoked_at: datetime | None = None
    status: str = "wanted"
    """wanted, accepted, running, over or given_up."""
    tries: tuple[DispatchTry, ...] = ()
    """The newest twenty; of each request only what came of it."""
    run: WorkflowRun | None = None
    code: str = ""
    error: str = ""
    wanted_at: datetime
    updated_at: datetime
    seq: int


class ListDispatches(Command):
    """Read the dispatches of a repository, the newest first."""

    type: str = "list_dispatches"
    repo: str = Field(max_length=300)
    seen_by: str | None = None
    """Who asks: those of tasks that others alone may see are left out. None: nothing is hidden from whoever asks."""
    limit: int = Field(default=30, ge=1, le=100)
    task_id: str | None = None
    """Of this task alone."""


class DispatchPage(Message):
    dispatches: tuple[DispatchView, ...]
    total: int


def fold_dispatch(view: DispatchView | None, event: Event) -> DispatchView | None:
    """The view after one more event. Facts that say nothing about it leave it as it is."""
    fact = event.fact
    if isinstance(fact, DispatchWanted):
        return _first(fact, event)
    if view is None:
        return None
    changes = _changes(view, fact, event)
    return view.model_copy(update={**changes, "updated_at": event.at, "seq": event.cursor.seq}) if changes else view


def _first(fact: DispatchWanted, event: Event) -> DispatchView:
    return DispatchView(
        tenant=event.tenant,
        task_id=event.task,
        repo=one_name(fact.repo),
        shown_repo=fact.repo,
        event_type=fact.event_type,
        agent_type=fact.agent_type,
        branch=fact.branch,
        key=fact.key,
        wanted_at=event.at,
        updated_at=event.at,
        seq=event.cursor.seq,
    )


def _changes(view: DispatchView, fact: Fact, event: Event) -> dict[str, object]:
    match fact:
        case DispatchTried():
            one = DispatchTry(number=fact.number, outcome=fact.outcome, status=fact.status, error=fact.error, at=event.at)
            tries = (*(each for each in view.tries if each.number != fact.number), one)[-MOST_TRIES:]
            accepted = {"status": "accepted"} if fact.outcome is Outcome.ACCEPTED and view.status == "wanted" else {}
            return {"tries": tries, **accepted}
        case WorkflowRunSeen():
            return {"run": fact.run, "status": "over" if fact.run.status == COMPLETED else "running"}
        case DispatchGivenUp():
            return {"status": "given_up", "code": fact.code, "error": fact.error}
        case InstanceKeyRevoked():
            return {"revoked_at": event.at}
        case WorkflowCancelTried():
            return {"error": fact.error} if fact.error else {}
        case _:
            return {}
