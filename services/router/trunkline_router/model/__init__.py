"""The life of a task as pure functions: what a wish or a happening leads to, and what the facts add up to."""

from trunkline_router.model.cues import (
    ChildSubmitted,
    Cue,
    DeadlineReached,
    Happening,
    HoldDecided,
    InstanceBegan,
    InstanceOver,
    ParentCancelled,
    RetryDue,
    RunBegan,
    RunEnded,
    RunGoing,
    RunWaiting,
    RunWasStopped,
    SlaReached,
    StopOverdue,
    Wish,
)
from trunkline_router.model.life import decide
from trunkline_router.model.pulls import opened_here, opening_here
from trunkline_router.model.rules import Gate, Route, Rules, digest, reasons
from trunkline_router.model.task import Task, evolve
from trunkline_router.model.waiting import too_early

__all__ = [
    "ChildSubmitted",
    "Cue",
    "DeadlineReached",
    "Gate",
    "Happening",
    "HoldDecided",
    "InstanceBegan",
    "InstanceOver",
    "ParentCancelled",
    "RetryDue",
    "Route",
    "Rules",
    "RunBegan",
    "RunEnded",
    "RunGoing",
    "RunWaiting",
    "RunWasStopped",
    "SlaReached",
    "StopOverdue",
    "Task",
    "Wish",
    "decide",
    "digest",
    "evolve",
    "opened_here",
    "opening_here",
    "reasons",
    "too_early",
]
