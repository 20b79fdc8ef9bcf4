"""A workflow run that is started for a task: what is remembered of it, and what each step leads to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, assert_never

from trunkline.contracts.dispatch import (
    COMPLETED,
    DispatchGivenUp,
    DispatchTried,
    DispatchWanted,
    InstanceKeyRevoked,
    KeyMinted,
    Outcome,
    SeenBy,
    WorkflowCancelTried,
    WorkflowRun,
    WorkflowRunSeen,
    WorkflowRunTold,
)
from trunkline.contracts.message import Fact


class Hint(NamedTuple):
    """A run of which somebody who holds the key says that it is the one, and of which GitHub has not said so."""

    run_id: int
    run_attempt: int
    at: datetime


class Dispatch(NamedTuple):
    """What must be known of a dispatch to decide what comes next."""

    attempt: int
    repo: str
    event_type: str
    branch: str
    agent_type: str
    installation_id: int | None
    key: KeyMinted
    wanted_at: datetime
    tries: int = 0
    outcome: Outcome | None = None
    """Of the newest request."""
    tried_at: datetime | None = None
    again_at: datetime | None = None
    error: str = ""
    """Of the newest request."""
    accepted_at: datetime | None = None
    run: WorkflowRun | None = None
    how: SeenBy | None = None
    """By what the newest news of the run came."""
    sure: bool = False
    """Whether the run itself says that it is the one; else it was found to be the only one that can be."""
    began_at: datetime | None = None
    """When the run was first seen at work."""
    told: Hint | None = None
    tellings: int = 0
    given_up: str = ""
    """The code, where it is."""
    cancels: int = 0
    cancelled: bool = False
    cancel_again_at: datetime | None = None
    """When GitHub is asked again to cancel the run; None after a request: never."""
    revoked: bool = False

    @property
    def concluded(self) -> bool:
        """Whether its run is over."""
        return self.run is not None and self.run.status == COMPLETED

    @property
    def unsure(self) -> bool:
        """Whether nobody knows if GitHub took the newest request."""
        return self.outcome in (Outcome.BEGUN, Outcome.TIMEOUT, Outcome.ERROR)


@dataclass(frozen=True, slots=True)
class Want:
    """A workflow is to be started."""

    attempt: int
    repo: str
    event_type: str
    branch: str
    agent_type: str
    installation_id: int | None
    key: KeyMinted


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot even be wanted."""

    attempt: int
    code: str
    error: str


@dataclass(frozen=True, slots=True)
class Begin:
    """Request `number` is about to be sent: whoever gets a fact for it sends it, and nobody else."""

    number: int


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a request."""

    number: int
    outcome: Outcome
    status: int | None = None
    error: str = ""
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A run is the one, and stands so."""

    run: WorkflowRun
    how: SeenBy


@dataclass(frozen=True, slots=True)
class Tell:
    """Whoever holds the key says which run is its own."""

    run_id: int
    run_attempt: int = 1


@dataclass(frozen=True, slots=True)
class Disbelieve:
    """What was told of this run is not so."""

    run_id: int
    why: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    code: str
    error: str


@dataclass(frozen=True, slots=True)
class CancelCame:
    """What came of asking GitHub to cancel the run."""

    outcome: Outcome
    status: int | None = None
    error: str = ""
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Revoke:
    """The key counts no more."""

    why: str


Cue = Want | Refuse | Begin | Came | Seen | Tell | Disbelieve | GiveUp | CancelCame | Revoke
MOST_TOLD: Final = 8
"""Runs that are named with one key: a workflow has one, and whoever holds a key must not make GitHub be asked for ever."""
WAITING: Final = ("requested", "queued", "waiting", "pending")
"""GitHub's words for a run whose work has not begun."""
UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def decide(dispatch: Dispatch | None, cue: Cue) -> list[Fact]:
    """The facts that follow. A repeat, and what comes too late, leads to none."""
    if isinstance(cue, Want):
        return [_wanted(cue)] if dispatch is None or cue.attempt > dispatch.attempt else []
    if isinstance(cue, Refuse):
        return [DispatchGivenUp(attempt=cue.attempt, code=cue.code, error=cue.error)] if dispatch is None else []
    return _decided(dispatch, cue) if dispatch else []


def _wanted(cue: Want) -> DispatchWanted:
    return DispatchWanted(
        attempt=cue.attempt,
        repo=cue.repo,
        event_type=cue.event_type,
        branch=cue.branch,
        agent_type=cue.agent_type,
        installation_id=cue.installation_id,
        key=cue.key,
    )


def _decided(dispatch: Dispatch, cue: Begin | Came | Seen | Tell | Disbelieve | GiveUp | CancelCame | Revoke) -> list[Fact]:
    match cue:
        case Begin(number):
            known = dispatch.unsure or dispatch.outcome is Outcome.ACCEPTED or dispatch.run is not None or dispatch.given_up
            due = number == dispatch.tries + 1 and not known
            return [DispatchTried(number=number, outcome=Outcome.BEGUN)] if due else []
        case Came():
            return _came(dispatch, cue)
        case Seen():
            return _seen(dispatch, cue)
        case Tell():
            return _told(dispatch, cue)
        case Disbelieve():
            return _disbelieved(dispatch, cue)
        case GiveUp(code, error):
            return [] if dispatch.given_up or dispatch.concluded else [DispatchGivenUp(attempt=dispatch.attempt, code=code, error=error)]
        case CancelCame():
            return _cancel_came(dispatch, cue)
        case Revoke(why):
            return [] if dispatch.revoked else [InstanceKeyRevoked(key_id=dispatch.key.key_id, why=why)]
        case never:
            assert_never(never)


def _came(dispatch: Dispatch, cue: Came) -> list[Fact]:
    """What nobody knew may become known later; what is known stays."""
    if cue.number != dispatch.tries or not dispatch.unsure or dispatch.given_up:
        return []
    if (cue.outcome, cue.again_at) == (dispatch.outcome, dispatch.again_at):
        return []
    return [DispatchTried(number=cue.number, outcome=cue.outcome, status=cue.status, error=cue.error, again_at=cue.again_at)]


def _seen(dispatch: Dispatch, cue: Seen) -> list[Fact]:
    """News of the run, and of no other but one that is it more surely; what GitHub tells late is no news."""
    before, run = dispatch.run, cue.run
    if before is None:
        return [WorkflowRunSeen(attempt=dispatch.attempt, run=run, how=cue.how)]
    if run.run_id != before.run_id:
        better = says_it(run, cue.how) and not dispatch.sure
        return [WorkflowRunSeen(attempt=dispatch.attempt, run=run, how=cue.how)] if better else []
    if run.run_attempt < before.run_attempt:
        return []
    again = run.run_attempt > before.run_attempt
    late = not again and (before.status == COMPLETED or (run.status in WAITING and before.status not in WAITING))
    same = (run.run_attempt, run.status, run.conclusion) == (before.run_attempt, before.status, before.conclusion)
    same = same and (dispatch.sure or cue.how is not SeenBy.TOLD)
    return [] if late or same else [WorkflowRunSeen(attempt=dispatch.attempt, run=run, how=cue.how)]


def _told(dispatch: Dispatch, cue: Tell) -> list[Fact]:
    """Kept where it can be news: of a run that is known for sure only that it goes on."""
    run, hint = dispatch.run, dispatch.told
    if dispatch.tellings >= MOST_TOLD or (hint and (hint.run_id, hint.run_attempt) == (cue.run_id, cue.run_attempt)):
        return []
    if run is not None and dispatch.sure:
        further = cue.run_attempt > run.run_attempt or run.status in WAITING
        if run.run_id != cue.run_id or not further:
            return []
    return [WorkflowRunTold(attempt=dispatch.attempt, run_id=cue.run_id, run_attempt=cue.run_attempt)]


def _disbelieved(dispatch: Dispatch, cue: Disbelieve) -> list[Fact]:
    hint = dispatch.told
    if hint is None or hint.run_id != cue.run_id:
        return []
    return [WorkflowRunTold(attempt=dispatch.attempt, run_id=hint.run_id, run_attempt=hint.run_attempt, refused=cue.why)]


def _cancel_came(dispatch: Dispatch, cue: CancelCame) -> list[Fact]:
    if dispatch.run is None or dispatch.cancelled:
        return []
    tried = WorkflowCancelTried(
        attempt=dispatch.attempt,
        run_id=dispatch.run.run_id,
        number=dispatch.cancels + 1,
        outcome=cue.outcome,
        status=cue.status,
        error=cue.error,
        again_at=cue.again_at,
    )
    return [tried]


def evolve(dispatch: Dispatch | None, fact: Fact, at: datetime) -> Dispatch | None:
    """The dispatch after one more fact; facts of other versions change nothing."""
    if isinstance(fact, DispatchWanted):
        asked = (fact.attempt, fact.repo, fact.event_type, fact.branch, fact.agent_type, fact.installation_id)
        return Dispatch(*asked, fact.key, at)
    return _evolved(dispatch, fact, at) if dispatch else None


def _evolved(dispatch: Dispatch, fact: Fact, at: datetime) -> Dispatch:
    match fact:
        case DispatchTried():
            accepted = at if fact.outcome is Outcome.ACCEPTED else dispatch.accepted_at
            tried = dispatch._replace(tries=fact.number, outcome=fact.outcome, tried_at=_since(dispatch, fact, at), error=fact.error)
            return tried._replace(again_at=fact.again_at, accepted_at=accepted)
        case WorkflowRunSeen():
            return _with_run(dispatch, fact, at)
        case WorkflowRunTold(refused=""):
            return dispatch._replace(told=Hint(fact.run_id, fact.run_attempt, at), tellings=dispatch.tellings + 1)
        case WorkflowRunTold():
            return dispatch._replace(told=None)
        case DispatchGivenUp():
            return dispatch._replace(given_up=fact.code)
        case WorkflowCancelTried():
            tried = dispatch._replace(cancels=fact.number, cancelled=fact.outcome is Outcome.ACCEPTED)
            return tried._replace(cancel_again_at=fact.again_at)
        case InstanceKeyRevoked():
            return dispatch._replace(revoked=True)
        case _:
            return dispatch


def _since(dispatch: Dispatch, fact: DispatchTried, at: datetime) -> datetime:
    """When the newest request began: what came of it later does not move that."""
    return dispatch.tried_at if dispatch.tried_at and fact.number == dispatch.tries else at


def _with_run(dispatch: Dispatch, fact: WorkflowRunSeen, at: datetime) -> Dispatch:
    same = dispatch.run is not None and dispatch.run.run_id == fact.run.run_id
    began = None if fact.run.status in WAITING else at
    sure = (same and dispatch.sure) or says_it(fact.run, fact.how)
    return dispatch._replace(
        run=fact.run,
        how=fact.how,
        sure=sure,
        told=None if sure else dispatch.told,
        accepted_at=dispatch.accepted_at or at,
        began_at=(same and dispatch.began_at) or began,
    )


def says_it(run: WorkflowRun, how: SeenBy) -> bool:
    """Whether the run itself names its instance, by its title or because its workflow told us and GitHub the same."""
    return how is SeenBy.TOLD or UUID.search(run.title) is not None
