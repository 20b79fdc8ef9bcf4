"""The words that webhooks ask for, and the words of each fact: those of the tasks' own timelines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from trunkline.contracts import approval, forge, run, steering, task
from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Fact
from trunkline.contracts.webhook import MOST_EVENTS

WORDS: Final[dict[type[Fact], str]] = {
    task.TaskSubmitted: "task.created",
    task.TaskAssigned: "task.assigned",
    task.TaskHeld: "task.approval_required",
    task.TaskReleased: "task.released",
    task.TaskStarted: "task.in_progress",
    task.TaskRetryScheduled: "task.retry_scheduled",
    task.TaskSlaBreached: "task.sla_breached",
    task.TaskChildAdded: "task.child_added",
    task.TaskStopRequested: "task.cancelling",
    task.TaskWaits: "task.waiting",
    task.TaskGoesOn: "task.goes_on",
    task.TaskSucceeded: "task.completed",
    task.TaskFailed: "task.failed",
    task.TaskCancelled: "task.cancelled",
    approval.ApprovalRequested: "approval.requested",
    approval.ApprovalVoted: "approval.voted",
    approval.ApprovalEscalated: "approval.escalated",
    approval.ApprovalOverdue: "approval.overdue",
    approval.ApprovalDecided: "approval.decided",
    approval.ApprovalWithdrawn: "approval.withdrawn",
    run.PhaseBegan: "run.phase",
    run.SandboxReady: "run.sandbox_ready",
    run.AgentChecked: "run.agent_checked",
    run.RepositoryCloned: "run.cloned",
    run.AgentStarted: "run.agent_started",
    run.AgentEnded: "run.agent_ended",
    run.ChangesCommitted: "run.committed",
    run.BranchPushed: "run.pushed",
    run.PullRequestOpened: "run.pull_request_opened",
    run.ApprovalWanted: "run.approval_wanted",
    run.RunWaits: "run.waiting",
    run.RunGoesOn: "run.goes_on",
    run.RunParked: "run.parked",
    run.RunWoken: "run.woken",
    run.AgentInterrupted: "run.interrupted",
    run.BudgetRaised: "run.budget_raised",
    run.PushJudged: "run.push_judged",
    steering.MessageQueued: "message.queued",
    steering.MessageDelivered: "message.delivered",
    steering.MessageTaken: "message.taken",
    forge.PullRequestEnded: "pull_request.ended",
}
JOB_COMPLETED: Final = "job.completed"
JOB_FAILED: Final = "job.failed"
ALIASES: Final = {"task.completed": JOB_COMPLETED, "task.failed": JOB_FAILED, "task.cancelled": JOB_FAILED}
"""The words of the pr_agent surface for the same facts: there a job that was cancelled has failed."""
ALL: Final = "*"
KNOWN: Final = frozenset((*WORDS.values(), *ALIASES.values()))
_FAMILIES: Final = frozenset(word.partition(".")[0] for word in KNOWN)
_PATTERN: Final = re.compile(r"[a-z_]+\.(?:[a-z_]+|\*)")
TOLD_PARTS: Final = ("task", "run", "inbox", "pull")


def told(part: str) -> bool:
    """Whether facts of this part of a task are anybody's business; what agents say and what people publish is not."""
    return part in TOLD_PARTS or part.startswith("approval-")


def check_events(events: Sequence[str]) -> None:
    """Raises Invalid when they could never be told."""
    if not 1 <= len(events) <= MOST_EVENTS:
        raise Invalid(f"a webhook names 1 to {MOST_EVENTS} events", code="BAD_WEBHOOK_EVENTS")
    for event in events:
        if not _known(event):
            known = ", ".join(sorted({*ALIASES.values()})) + ", task.completed, approval.requested, task.* or *"
            raise Invalid(f"there is no event {event[:80]!r}; there are {known}", code="BAD_WEBHOOK_EVENTS")


def word_for(patterns: Iterable[str], word: str) -> str | None:
    """What this event is called for whoever asked with these patterns; None: it did not ask for it."""
    asked = frozenset(patterns)
    for name in filter(None, (word, ALIASES.get(word))):
        if name in asked or f"{name.partition('.')[0]}.*" in asked or ALL in asked:
            return name
    return None


def _known(event: str) -> bool:
    if event == ALL:
        return True
    family, _, rest = event.partition(".")
    return bool(_PATTERN.fullmatch(event)) and (family in _FAMILIES if rest == ALL else event in KNOWN)
