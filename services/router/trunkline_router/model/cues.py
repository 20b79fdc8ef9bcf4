"""What a task answers to: wishes of people and agents, and what happens around it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.contracts.agent import Report
from trunkline.contracts.approval import ApprovalDecided
from trunkline.contracts.run import ApprovalWanted, RunResult
from trunkline.contracts.task import CancelTask, ReportTask, SubmitTask


@dataclass(frozen=True, slots=True)
class RunBegan:
    attempt: int


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run that succeeded has a result; one that failed has a code and an error."""

    attempt: int
    result: RunResult | None = None
    code: str = ""
    error: str = ""
    recoverable: bool = False


@dataclass(frozen=True, slots=True)
class RunWasStopped:
    attempt: int


@dataclass(frozen=True, slots=True)
class RunWaiting:
    """The run waits for people from this moment on. `seq` is where its record lies: what lies before it is older news."""

    attempt: int
    why: str
    seq: int
    approval_id: str = ""


@dataclass(frozen=True, slots=True)
class RunGoing:
    """From this moment on the run waits for nobody."""

    attempt: int
    seq: int


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """An alarm rang; only the task knows whether it is the one that counts."""


@dataclass(frozen=True, slots=True)
class SlaReached:
    """The moment by which the task was promised."""


@dataclass(frozen=True, slots=True)
class RetryDue:
    attempt: int


@dataclass(frozen=True, slots=True)
class PlaceAwaited:
    """There is no place for it now; `full` names what is full."""

    full: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlaceGiven:
    """It waited for a place, and has it."""


@dataclass(frozen=True, slots=True)
class StopOverdue:
    """Nobody confirmed the stop in time: nobody runs the task."""


@dataclass(frozen=True, slots=True)
class HoldDecided:
    """Whether a held task may begin was decided."""

    decision: ApprovalDecided


@dataclass(frozen=True, slots=True)
class ChildSubmitted:
    """Another task was submitted as a part of this one."""

    child: str


@dataclass(frozen=True, slots=True)
class ParentCancelled:
    """The task that this one is a part of was cancelled."""

    parent: str


@dataclass(frozen=True, slots=True)
class InstanceBegan:
    """The agent elsewhere called home, or its workflow runs."""

    attempt: int


@dataclass(frozen=True, slots=True)
class InstanceOver:
    """The agent elsewhere is done, or nothing will come of it. `stopped`: what was asked to stop has. `killed_by`: who ended it early."""

    attempt: int
    ok: bool = False
    code: str = ""
    error: str = ""
    stopped: bool = False
    killed_by: str = ""


@dataclass(frozen=True, slots=True)
class LeaseWanted:
    """An agent of its pool would have this attempt, under this lease."""

    attempt: int
    lease: str
    by: str
    session: str
    until: datetime
    trace: str = ""
    begin: bool = False


@dataclass(frozen=True, slots=True)
class LeaseSilent:
    """Nothing was heard of whoever has the lease for longer than it lasts; `ever`: there was a beat before."""

    lease: str
    ever: bool = True


@dataclass(frozen=True, slots=True)
class AgentReports:
    """Whoever has the lease says how it goes."""

    report: Report
    by: str


@dataclass(frozen=True, slots=True)
class AgentAsks:
    """Whoever has the lease wants people to decide something."""

    lease: str
    by: str
    wanted: ApprovalWanted


@dataclass(frozen=True, slots=True)
class AskDecided:
    """What whoever has the lease asked is decided, and is about to be told."""

    lease: str
    by: str
    approval_id: str


LEASING: Final = (LeaseWanted, LeaseSilent, AgentReports, AgentAsks, AskDecided)
Leasing = LeaseWanted | LeaseSilent | AgentReports | AgentAsks | AskDecided
Happening = (
    RunBegan | RunEnded | RunWasStopped | RunWaiting | RunGoing | DeadlineReached | SlaReached | RetryDue | StopOverdue
    | PlaceAwaited | PlaceGiven | HoldDecided | ChildSubmitted | ParentCancelled | InstanceBegan | InstanceOver
)  # fmt: skip
Wish = SubmitTask | CancelTask | ReportTask
Cue = Wish | Happening | Leasing
