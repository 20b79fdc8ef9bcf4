"""What becomes of a task in memory when its agent reports, falls silent or is to stop: the same as with the real router."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trunkline.contracts.agent import AgentReported, Held, Report, Stop
from trunkline.contracts.errors import Conflict
from trunkline.contracts.task import StopCause, TaskStatus
from trunkline.sdk.testkit.ledger import Entry, Grant

MOST_GIVEN_BACK: Final = 10
MOST_UNHEARD: Final = 2


def held(entry: Entry, wish: Held) -> Grant:
    """Raises Conflict (LEASE_LOST)."""
    if entry.grant is None or entry.grant.lease != wish.lease:
        raise Conflict("the lease is over: the task is somebody else's, or ended; drop it", code="LEASE_LOST")
    return entry.grant


def granted(entry: Entry, grant: Grant, *, begin: bool) -> None:
    """It is in that agent's hands, and under way if the claim wished so."""
    entry.grant = grant
    if begin:
        _start(entry, replace(grant, begun=True))


def report(entry: Entry, wish: Report, retry_at: float) -> None:
    """Raises Conflict."""
    if entry.grant is None and entry.closed == (wish.lease, wish.reported):
        return
    grant = held(entry, wish)
    match wish.reported:
        case AgentReported.STARTED:
            _start(entry, grant)
        case AgentReported.SUCCEEDED:
            entry.result = wish.result
            _over(entry, TaskStatus.SUCCEEDED)
        case AgentReported.FAILED if entry.stop:
            _stopped(entry, entry.stop)
        case AgentReported.FAILED:
            again(entry, wish.code or "AGENT_FAILED", wish.error, retry_at if wish.mendable else None)
        case AgentReported.STOPPED:
            if entry.stop is None:
                raise Conflict("nobody asked the task to stop; report `failed` or `released`", code="NOT_STOPPING")
            _stopped(entry, entry.stop)
        case AgentReported.RELEASED:
            _given_back(entry, retry_at)
    if wish.reported is not AgentReported.STARTED:
        entry.closed = wish.lease, wish.reported


def silent(entry: Entry, retry_at: float) -> None:
    """Nothing was heard of the agent for the length of a lease."""
    if entry.grant is None:
        return
    if not entry.grant.started or (entry.grant.begun and not entry.grant.beaten and entry.given_back < MOST_UNHEARD):
        _given_back(entry, retry_at)
    elif entry.stop:
        _stopped(entry, entry.stop)
    else:
        again(entry, "AGENT_LOST", "nothing was heard any more of the agent that had the task", retry_at)


def to_stop(entry: Entry, stop: Stop) -> None:
    if entry.status.terminal or entry.stop:
        return
    entry.stop = stop
    if entry.grant is None:
        _stopped(entry, stop)
    else:
        entry.status = TaskStatus.STOPPING


def again(entry: Entry, code: str, error: str, retry_at: float | None) -> None:
    """Another attempt, where it may help and there is one left; else the end."""
    entry.code, entry.error, entry.grant = code, error, None
    if retry_at is None or entry.attempt > entry.max_retries:
        _over(entry, TaskStatus.FAILED)
        return
    entry.status, entry.attempt, entry.begins_at, entry.given_back = TaskStatus.ASSIGNED, entry.attempt + 1, retry_at, 0


def _start(entry: Entry, grant: Grant) -> None:
    entry.grant = replace(grant, started=True)
    if not entry.stop:
        entry.status = TaskStatus.IN_PROGRESS


def _given_back(entry: Entry, retry_at: float) -> None:
    """The same attempt, for whoever asks next."""
    entry.given_back += 1
    entry.grant = None
    if entry.stop:
        _stopped(entry, entry.stop)
    elif entry.given_back >= MOST_GIVEN_BACK:
        again(entry, "AGENT_LOST", f"agents took the task {entry.given_back} times and gave it back each time", retry_at)
    else:
        entry.status = TaskStatus.ASSIGNED


def _stopped(entry: Entry, stop: Stop) -> None:
    late = stop.cause is StopCause.DEADLINE
    entry.code, entry.error = ("DEADLINE", stop.reason) if late else ("", stop.reason)
    _over(entry, TaskStatus.FAILED if late else TaskStatus.CANCELLED)


def _over(entry: Entry, status: TaskStatus) -> None:
    entry.status, entry.grant = status, None
    for asked in entry.asked.values():
        asked.withdraw()
