"""Which of the runs that GitHub lists is the one that was started for a task."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trunkline.contracts.dispatch import COMPLETED, SeenBy, WorkflowRun
from trunkline_relay.model.dispatch import UUID, WAITING

EARLIER: Final = timedelta(seconds=120)
"""By which clocks may differ: runs are listed from so long before the request."""
SLACK: Final = timedelta(seconds=10)
"""By which they differ where nothing but the moment says that a run is ours."""


@dataclass(frozen=True, slots=True)
class Found:
    """The run, and how it was known."""

    run: WorkflowRun
    how: SeenBy


@dataclass(frozen=True, slots=True)
class Listed:
    """Runs, the newest first."""

    runs: Sequence[WorkflowRun]
    whole: bool = True
    """Whether that is all; else nothing is known of a run that is not among them."""


@dataclass(frozen=True, slots=True)
class Others:
    """What else goes on in the repository."""

    taken: Collection[int] = ()
    """Runs that are known to be other dispatches'."""
    waiting: int = 0
    """Other dispatches whose run nobody has seen."""
    called: int = 0
    """Those of them whose agent has called."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for."""

    name: str
    """The UUID of the instance, as runs are titled by it."""
    event_type: str
    """As GitHub titles a run whose workflow does not say how."""
    since: datetime
    """When the event was sent."""
    called: bool = False
    wanted: datetime | None = None
    """Since when it might have been sent at all; None: nobody asks."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be thought of somebody's word that a run is the one."""

    why: str = ""
    """Not to be believed, for this; empty: it is so."""


def judge(sought: Sought, run: WorkflowRun, listed: Listed, others: Others) -> Verdict | None:
    """By what GitHub says of `run`, and not by the word itself; None: it cannot be told yet."""
    if run.created_at is None or run.created_at < (sought.wanted or sought.since) - EARLIER:
        return Verdict("GitHub had that run before it was asked for one")
    if run.run_id in others.taken:
        return Verdict("that run is another instance's")
    if sought.name in run.title.lower():
        return Verdict()
    if UUID.search(run.title):
        return Verdict("that run names another instance")
    if named(sought, listed.runs):
        return Verdict("another run names this instance")
    if run.created_at < sought.since - SLACK:
        return Verdict("GitHub had that run before it was asked for one")
    return _nameless(sought, run, listed, others)


def _nameless(sought: Sought, run: WorkflowRun, listed: Listed, others: Others) -> Verdict | None:
    """A run that names nobody is believed to be the one only where it can be no other's, of ours or of anybody."""
    free = possible([run, *(each for each in listed.runs if each.run_id != run.run_id)], others, sought.since - SLACK)
    titled = [each for each in free if each.title == sought.event_type]
    if titled and run not in titled:
        return Verdict("that run is of another event")
    alone = bool(titled) or len(free) == 1
    return Verdict() if alone and listed.whole and not others.waiting and run.status not in WAITING else None


def match(sought: Sought, runs: Sequence[WorkflowRun], others: Others) -> Found | None:
    """By its title, else as the only one that it can be."""
    if found := named(sought, runs):
        return found
    nameless = possible(runs, others, sought.since - SLACK)
    if not others.waiting:
        titled = [run for run in nameless if run.title == sought.event_type] or nameless
        return Found(titled[0], SeenBy.LISTING) if len(titled) == 1 else None
    started = [run for run in nameless if run.status not in WAITING]
    if sought.called and not others.called and len(started) == 1:
        return Found(started[0], SeenBy.CALLBACK)
    return None


def possible(runs: Sequence[WorkflowRun], others: Others, since: datetime) -> list[WorkflowRun]:
    """Those of which nobody can tell whose they are."""
    free = (run for run in runs if run.run_id not in others.taken and not UUID.search(run.title))
    return [run for run in free if run.created_at is None or run.created_at >= since]


def named(sought: Sought, runs: Sequence[WorkflowRun]) -> Found | None:
    """The one that says itself that it is it; of several the first that is not over."""
    fit = [run for run in runs if sought.name in run.title.lower()]
    return Found(min(fit, key=lambda run: (run.status == COMPLETED, run.run_id)), SeenBy.LISTING) if fit else None
