"""What the facts of a task mean to whoever reads its page: a label, a sentence, a tone, and what is long folded away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from trunkline.contracts import approval, forge, run, spend, steering, task
from trunkline.contracts.message import Fact

Tone = Literal["", "soft", "good", "bad", "asks", "agent"]
BRIEF: Final = 160
"""Characters that a row shows; the rest is folded away."""


@dataclass(frozen=True, slots=True)
class Told:
    """One row. `more` is what was too long for it."""

    label: str
    text: str
    tone: Tone = ""
    more: str = ""


def told(fact: Fact) -> Told | None:
    """Nothing for what others tell already, or for what was made by a newer version."""
    known = _TOLD.get(type(fact))
    return known(fact) if known else None


def folded(label: str, text: str, tone: Tone) -> Told:
    first, _, rest = text.strip().partition("\n")
    if not rest and len(first) <= BRIEF:
        return Told(label, first, tone)
    return Told(label, first[:BRIEF] + ("…" if len(first) > BRIEF else ""), tone, text)


def _held(fact: task.TaskHeld) -> Told:
    return Told("held", f"{fact.subject} {' '.join(fact.hold.reasons)}", "asks")


def _decided(fact: approval.ApprovalDecided) -> Told:
    good = fact.verdict is approval.Verdict.APPROVED
    return Told(fact.verdict.value, _by(fact.by, fact.reason), "good" if good else "bad")


def _said(fact: run.AgentOutput) -> Told:
    if fact.kind is run.Said.TOOL_CALL:
        return folded(fact.tool or "tool", fact.display or fact.text, "agent")
    label = {run.Said.TOOL_RESULT: "result", run.Said.THINKING: "thinks", run.Said.NOTICE: "notice"}.get(fact.kind, "says")
    return folded(label, fact.text or fact.display, "bad" if fact.is_error else "soft" if label != "says" else "")


def _answered(fact: run.CallAnswered) -> Told:
    good = fact.verdict is run.CallVerdict.ALLOWED
    return Told("call", f"{fact.verdict.value.replace('_', ' ')} {_by(fact.by, fact.reason)}", "good" if good else "bad")


def _judged(fact: run.PushJudged) -> Told:
    return Told("push", "allowed to leave" if fact.cleared else "; ".join(fact.reasons), "good" if fact.cleared else "asks")


def _sandbox(fact: run.SandboxReady) -> Told:
    return Told("sandbox", f"ready ({fact.provider}, {fact.isolation})", "bad" if fact.isolation.startswith("none") else "")


def _cost(fact: spend.ModelAnswered) -> Told:
    cost = f", ${fact.usd:.4f}" if fact.priced else ""
    return Told("model", f"{fact.model or 'answered'}: {fact.input_tokens} tokens in, {fact.output_tokens} out{cost}", "soft")


def _cancelled(fact: task.TaskCancelled) -> Told:
    return Told("cancelled", _by(fact.by, fact.reason), "bad")


def _ended(fact: forge.PullRequestEnded) -> Told:
    return Told("merged" if fact.merged else "closed", f"pull request #{fact.number} {_by(fact.by)}", "good" if fact.merged else "soft")


def _by(who: str, reason: str = "") -> str:
    return f"by {who}: {reason}" if reason else f"by {who}"


def _line(label: str, text: str, tone: Tone = "") -> Callable[[Any], Told]:
    """A sentence with fields of the fact in it."""
    return lambda fact: folded(label, text.format_map(vars(fact)), tone)


_TOLD: Final[Mapping[type[Fact], Callable[[Any], Told | None]]] = {
    task.TaskSubmitted: _line("asked", "by {submitted_by}"),
    task.TaskAssigned: _line("assigned", "to {pool}, attempt {attempt}"),
    task.TaskHeld: _held,
    task.TaskReleased: _line("released", "by {by}", "good"),
    task.TaskRetryScheduled: _line("again", "attempt {attempt} at {due_at:%H:%M:%S}: {reason}", "bad"),
    task.TaskSlaBreached: _line("late", "it was promised by {due_at:%H:%M:%S}", "bad"),
    task.TaskStopRequested: _line("stopping", "by {by}: {reason}", "soft"),
    task.TaskSucceeded: lambda _: Told("done", "completed", "good"),
    task.TaskFailed: _line("failed", "{error}", "bad"),
    task.TaskCancelled: _cancelled,
    approval.ApprovalRequested: _line("asks", "{subject}", "asks"),
    approval.ApprovalVoted: _line("vote", "{verdict.value} by {by}"),
    approval.ApprovalEscalated: lambda _: Told("asks", "others, as nobody decided in time", "asks"),
    approval.ApprovalOverdue: lambda _: Told("overdue", "nobody decided in time; it stays open", "asks"),
    approval.ApprovalDecided: _decided,
    approval.ApprovalWithdrawn: _line("withdrawn", "nobody has to decide any more. {reason}", "soft"),
    run.PhaseBegan: _line("phase", "{message}"),
    run.SandboxReady: _sandbox,
    run.RepositoryCloned: _line("cloned", "{branch} at {commit}", "soft"),
    run.AgentStarted: _line("agent", "{agent} begins"),
    run.AgentEnded: _line("agent", "ended. {caveat}", "soft"),
    run.ChangesCommitted: _line("changes", "{files_changed} file(s), +{additions} -{deletions}"),
    run.BranchPushed: _line("pushed", "{branch}", "soft"),
    run.PullRequestOpened: _line("opened", "pull request #{number}", "good"),
    run.RunFailed: _line("broke off", "{error}", "bad"),
    run.CallAnswered: _answered,
    run.RuleGranted: _line("allowed", "{rule.tool} {rule.argument} for the whole run, by {by}", "good"),
    run.RunWaits: lambda fact: Told("waits", fact.why.value.replace("_", " "), "asks"),
    run.RunGoesOn: lambda _: Told("goes on", "", "soft"),
    run.RunParked: lambda _: Told("parked", "its place is free for others meanwhile", "soft"),
    run.RunWoken: lambda _: Told("woken", "taken up again", "soft"),
    run.AgentInterrupted: _line("interrupted", "by {by}", "asks"),
    run.BudgetRaised: _line("budget", "${usd:.2f} more, by {by}", "good"),
    run.PushJudged: _judged,
    run.AgentOutput: _said,
    spend.ModelAnswered: _cost,
    steering.MessageQueued: _line("told", "{text}", "asks"),
    steering.MessageEdited: _line("changed", "{text}", "asks"),
    steering.MessageWithdrawn: _line("unsaid", "a message, by {by}", "soft"),
    steering.MessageTaken: lambda _: Told("taken", "the agent has the message", "soft"),
    forge.PullRequestEnded: _ended,
}
"""What phases tell already is not told again."""
