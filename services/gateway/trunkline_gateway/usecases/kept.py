"""What was kept of a run, and which of it a task goes on from: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.record import Event
from trunkline.contracts.run import AgentStarted, BranchPushed, ChangesCommitted, RepositoryCloned, RunClaimed, SnapshotKept


@dataclass(frozen=True, slots=True)
class Kept:
    """One state of workspace and conversation, and the event that tells of it."""

    attempt: int
    base: str
    """The commit that the work was begun on."""
    event: Cursor
    at: datetime
    commit: str
    snapshot: str = ""
    """Its name; none for the repository as it was cloned."""
    session: str = ""
    at_rest: bool = False
    """Whether what is committed after it is what was kept."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a run left behind, as far as it is looked at."""

    kept: Kept | None = None
    agent: str = ""
    branch: str = ""
    """The one that the work was committed for."""
    committed: str = ""
    pushed: str = ""
    """The commit that the branch was left at, at the forge."""
    attempt: int = 1

    @property
    def work(self) -> str:
        """The commit of the workspace as it was left: a snapshot that is older than what was committed lacks some of it."""
        whole = not self.kept or self.kept.at_rest or not self.committed
        return (self.kept.commit if self.kept else "") if whole else self.committed


def left(events: Iterable[Event], until: Cursor | None = None) -> Left:
    """Of the events up to and with `until`: the newest snapshot is the last of them, for a later attempt begins anew."""
    found = Left()
    for event in events:
        if until is None or event.cursor <= until:
            found = _further(found, event)
    return found


def begun(events: Iterable[Event]) -> Left:
    """As the repository was first cloned, before anything was done; nothing is kept of a run that never came so far."""
    found = Left()
    for event in events:
        found = _further(found, event)
        if found.kept:
            break
    return found


def _further(found: Left, event: Event) -> Left:
    match event.fact:
        case RunClaimed(attempt=attempt):
            return replace(found, attempt=attempt)
        case RepositoryCloned(commit=commit):
            return replace(found, kept=Kept(found.attempt, commit, event.cursor, event.at, commit), committed="")
        case AgentStarted(agent=agent):
            return replace(found, agent=agent)
        case SnapshotKept() as fact if found.kept:
            kept = Kept(fact.attempt, found.kept.base, event.cursor, event.at, fact.commit, fact.snapshot, fact.session, fact.at_rest)
            return replace(found, kept=kept)
        case ChangesCommitted(branch=branch, commit=commit):
            return replace(found, branch=branch, committed=commit)
        case BranchPushed(branch=branch, commit=commit):
            return replace(found, branch=branch, pushed=commit)
        case _:
            return found
