"""The task machine against a small model of it: whatever comes, in whatever order and however often, one end and nothing behind it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.campaigns import tries
from tests.unit.router.tasks import CANCEL, NOW, RULES, asked, report, submit, word
from trunkline.contracts.approval import DecidedBy, Verdict
from trunkline.contracts.errors import Conflict
from trunkline.contracts.message import Fact
from trunkline.contracts.run import RunResult
from trunkline.contracts.task import ENDS, Reported, TaskAssigned, TaskHeld, TaskHoldDropped, TaskReleased, TaskStarted, TaskStatus
from trunkline_router.model import (
    ChildSubmitted,
    Cue,
    DeadlineReached,
    ParentCancelled,
    RetryDue,
    RunBegan,
    RunEnded,
    RunGoing,
    RunWaiting,
    RunWasStopped,
    SlaReached,
    StopOverdue,
    Task,
    decide,
    digest,
    evolve,
)

RESULT = RunResult(
    branch="b", base="main", commit="c0ffee", pull_request=1, pull_request_url="u", files_changed=1, additions=1, deletions=0,
    sandbox_id="t1-1", sandbox_seconds=1.0,
)  # fmt: skip
OVER = (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED)
WAITING = ("delayed", "submitted")
"""For its moment, or for another attempt."""
OPEN = (*WAITING, "assigned", "in_progress")
NEXT = {Reported.STARTED: "in_progress", Reported.SUCCEEDED: "succeeded"}


class TaskMachine(RuleBasedStateMachine):
    """`expected` is how the task should stand, thought of without its facts; None where either may be."""

    def __init__(self) -> None:
        super().__init__()
        self.task: Task | None = None
        self.facts: list[Fact] = []
        self.at = NOW
        self.expected = ""
        self.held = False
        self.gated = False
        """Whether somebody must allow it when it may begin."""
        self.left = 0
        """Retries."""
        self.waits: datetime | None = None
        self.due = NOW
        self.place = 0
        """Of the newest word of the run."""

    @initialize(sandbox=st.booleans(), gated=st.booleans(), retries=st.integers(0, 2), delayed=st.booleans())
    def submitted(self, sandbox: bool, gated: bool, retries: int, delayed: bool) -> None:
        fields: dict[str, Any] = {"max_retries": retries, "sla_s": 60, "priority": "P0" if gated else "P2"}
        later = {"start_at": NOW + timedelta(hours=1)} if delayed else {}
        self.wish = submit(asked("" if sandbox else "bugfix", repo="acme/calc", **fields, **later))
        self.tell(self.wish)
        self.gated, self.left = gated and not sandbox, retries
        self.expected, self.held = ("delayed", False) if delayed else ("assigned", self.gated)
        self.due = self.state.deadline_at

    def tell(self, cue: Cue) -> list[Fact] | None:
        """The facts that followed and were kept; None when it was refused. The same cue again writes nothing."""
        self.at += timedelta(seconds=1)
        try:
            found = decide(self.task, cue, self.at, RULES)
        except Conflict:
            return None
        over = self.task is not None and self.task.status.terminal
        assert not (over and found), f"{found} after the end"
        for fact in found:
            self.task = evolve(self.task, fact, getattr(cue, "at", self.at))
        self.facts += found
        self.assert_repeat_writes_nothing(cue)
        return found

    def assert_repeat_writes_nothing(self, cue: Cue) -> None:
        try:
            assert decide(self.task, cue, self.at, RULES) == []
        except Conflict:
            assert self.task is not None and (self.task.status.terminal or self.task.hold or not self.task.elsewhere)

    @property
    def state(self) -> Task:
        assert self.task is not None
        return self.task

    @rule()
    def submitted_again(self) -> None:
        assert self.tell(self.wish) == []

    @rule(reported=st.sampled_from(Reported))
    @precondition(lambda self: self.state.elsewhere)
    def reported(self, reported: Reported) -> None:
        before = self.expected
        told = self.tell(report(reported, at=self.at))
        if self.held or (before not in ("assigned", "in_progress") and not self.same(reported, before)):
            assert told is None
        elif before in ("assigned", "in_progress"):
            self.moved(reported)

    def moved(self, reported: Reported) -> None:
        if reported is Reported.FAILED and self.left:
            self.left -= 1
            self.expected = "submitted"
        else:
            self.expected = NEXT.get(reported, "failed")

    def same(self, reported: Reported, before: str) -> bool:
        return before == NEXT.get(reported, "failed") or (reported is Reported.FAILED and before == "submitted")

    @rule()
    def cancelled(self) -> None:
        before = self.expected
        told = self.tell(CANCEL)
        assert (told is None) == (before in ("succeeded", "failed"))
        if before in OPEN:
            self.expected, self.held = "stopping" if self.is_worked_on() else "cancelled", False

    @rule()
    def parent_cancelled(self) -> None:
        if self.expected in OPEN:
            self.expected, self.held = "stopping" if self.is_worked_on() else "cancelled", False
        self.tell(ParentCancelled("t0"))

    def is_worked_on(self) -> bool:
        return not self.state.elsewhere and self.expected not in WAITING

    @rule(verdict=st.sampled_from(Verdict), by=st.sampled_from(DecidedBy), exact=st.booleans())
    def decided(self, verdict: Verdict, by: DecidedBy, exact: bool) -> None:
        self.tell(word(verdict, digest(self.state.assignment) if exact else "0" * 64, by))
        if self.held and not (exact and verdict is Verdict.APPROVED):
            self.held, self.expected = False, "cancelled"
        self.held, self.due = False, self.state.deadline_at

    @rule(ripe=st.booleans())
    def deadline(self, ripe: bool) -> None:
        self.at = max(self.at, self.due) if ripe else self.at
        counts = self.at + timedelta(seconds=1) >= self.due and not self.waits
        if counts and not self.held and self.expected in OPEN:
            self.expected = "stopping" if self.is_worked_on() else "failed"
        self.tell(DeadlineReached())

    @rule(off=st.integers(-1, 0), old=st.integers(0, 2), seconds=st.integers(0, 5000))
    @precondition(lambda self: not self.state.elsewhere and not self.held)
    def run_waits(self, off: int, old: int, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)
        told = self.tell(RunWaiting(self.state.attempt + off, "tool_call", self.next_place(old)))
        if self.expected in ("assigned", "in_progress") and not off and not old and not self.waits:
            self.waits = self.at
        else:
            assert told == []

    @rule(off=st.integers(-1, 0), old=st.integers(0, 2), seconds=st.integers(0, 5000))
    @precondition(lambda self: not self.state.elsewhere and not self.held)
    def run_goes_on(self, off: int, old: int, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)
        told = self.tell(RunGoing(self.state.attempt + off, self.next_place(old)))
        if self.expected in ("assigned", "in_progress") and not off and not old and self.waits:
            self.due, self.waits = self.due + (self.at - self.waits), None
        else:
            assert told == []

    def next_place(self, old: int) -> int:
        """Where the run's next word lies, or one of those that were said before."""
        if old:
            return max(self.state.heard - old + 1, 0)
        self.place += 1
        return self.place

    @rule(off=st.integers(-1, 2))
    def retry_due(self, off: int) -> None:
        self.tell(RetryDue(self.state.attempt + off))
        if self.expected in WAITING and off == 1:
            self.held = self.gated and self.expected == "delayed"
            self.expected = "assigned"

    @rule()
    def beside(self) -> None:
        self.tell(SlaReached())
        self.tell(ChildSubmitted("t9"))

    @rule(off=st.integers(-1, 0), ended=st.sampled_from(["began", "succeeded", "failed", "hopeless", "stopped", "overdue"]))
    @precondition(lambda self: not self.state.elsewhere and self.expected in ("assigned", "in_progress", "stopping", *OVER))
    def run_said(self, off: int, ended: str) -> None:
        attempt = self.state.attempt + off
        cues: dict[str, Cue] = {
            "began": RunBegan(attempt),
            "succeeded": RunEnded(attempt, result=RESULT),
            "failed": RunEnded(attempt, code="AGENT_LOST", error="gone", recoverable=True),
            "hopeless": RunEnded(attempt, code="NO_CHANGES", error="nothing"),
            "stopped": RunWasStopped(attempt),
            "overdue": StopOverdue(),
        }
        told = self.tell(cues[ended])
        if off and ended != "overdue":
            assert told == []
        self.expected = self.state.status.value  # how runs move a task is told by its own sentences
        if self.expected == "submitted" and self.waits and told:
            self.due, self.waits = self.due + (self.at - self.waits), None

    @invariant()
    def stands_as_expected(self) -> None:
        if self.task:
            assert self.task.status.value == ("submitted" if self.expected == "delayed" else self.expected)
            assert bool(self.task.hold) == self.held
            if not self.task.status.terminal:
                assert (self.task.waits_since, self.task.deadline_at) == (self.waits, self.due)

    @invariant()
    def ends_at_most_once_and_last(self) -> None:
        ends = [index for index, fact in enumerate(self.facts) if isinstance(fact, ENDS)]
        assert ends in ([], [len(self.facts) - 1])

    @invariant()
    def is_never_begun_while_it_is_held(self) -> None:
        held = False
        for fact in self.facts:
            held = (held or isinstance(fact, TaskHeld)) and not isinstance(fact, (TaskReleased, TaskHoldDropped, *ENDS))
            assert not (held and isinstance(fact, TaskStarted))

    @invariant()
    def attempts_count_up_and_stay_within_what_was_asked_for(self) -> None:
        attempts = [fact.attempt for fact in self.facts if isinstance(fact, TaskAssigned)]
        assert attempts == list(range(1, len(attempts) + 1))
        assert not self.task or len(attempts) <= self.task.assignment.max_retries + 1


TestTaskMachine = TaskMachine.TestCase
TestTaskMachine.settings = settings(max_examples=tries(60, 5000), stateful_step_count=25, deadline=None)
