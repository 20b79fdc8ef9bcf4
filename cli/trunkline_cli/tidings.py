"""What the events of a task mean to a person, whoever carries it out: one line each, or nothing where there is nothing to tell."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from trunkline_cli import tidings_home
from trunkline_cli.shapes import TaskEvent
from trunkline_cli.timeline import Told, brief, tell_agent, tell_phase

Tell = Callable[[TaskEvent], Told | None]
WAITING: Final = "waiting for somebody's word"


def tell(event: TaskEvent) -> Told | None:
    """Pure. What this version does not know is told by its name."""
    if event.published_by:
        return _published(event)
    known = _TOLD.get(event.event_type)
    return known(event) if known else Told("", f"{event.event_type} {_brief_payload(event)}".rstrip(), "dim")


def _published(event: TaskEvent) -> Told:
    """Said as what it is, so that nobody's word passes for Trunkline's own."""
    who = event.published_by if event.source_agent in ("", event.published_by) else f"{event.published_by} as {event.source_agent}"
    return Told("event", f"{event.event_type} by {who} {_brief_payload(event)}".rstrip(), "magenta")


def _created(event: TaskEvent) -> Told:
    words = " ".join(filter(None, (event.word("type"), event.word("priority"))))
    source = f" from {event.word('source')}" if event.word("source") else ""
    return Told("created", f"{words}{source} by {event.word('created_by') or 'somebody'}".strip())


def _assigned(event: TaskEvent) -> Told:
    attempt = event.word("attempt")
    again = f", attempt {attempt}" if attempt not in ("", "1") else ""
    return Told("assigned", f"to {event.word('assigned_agent')}{again}", "cyan", "waiting for its agent")


def _held(event: TaskEvent) -> Told:
    reasons = event.payload.get("reasons")
    why = " ".join(map(str, reasons)) if isinstance(reasons, list) else ""
    return Told("held", f"{why or event.word('subject')} ({event.word('approval_id')})", "bold magenta", WAITING)


def _asked(event: TaskEvent) -> Told | None:
    """That a task may begin is asked when it is held, and told there."""
    if event.word("kind") == "task":
        return None
    return Told("asked", f"{event.word('subject')} ({event.word('approval_id')})", "magenta", WAITING)


def _started(event: TaskEvent) -> Told:
    by = event.word("by")
    return Told("started", f"by {by}" if by else f"attempt {event.word('attempt')}", "bold", "the agent is working")


def _retry(event: TaskEvent) -> Told:
    text = f"attempt {event.word('attempt')} at {event.word('due_at')}: {event.word('error')}"
    return Told("again", text, "yellow", "waiting for the next attempt")


def _completed(event: TaskEvent) -> Told:
    result = event.payload.get("result")
    if not isinstance(result, dict) or not result.get("pull_request"):
        return Told("done", "completed", "bold green")
    return Told("done", f"pull request #{result.get('pull_request')}: {result.get('pull_request_url')}", "bold green")


def _cancelled(event: TaskEvent) -> Told:
    why = _CAUSES.get(event.word("cause")) or f"by {event.word('by')}"
    return Told("cancelled", ": ".join(filter(None, (why, event.word("reason")))), "bold red")


def _decided(event: TaskEvent) -> Told:
    by = event.word("by") if event.word("decided_by") == "human" else f"{event.word('decided_by')} ({event.word('by')})"
    reason = f": {event.word('reason')}" if event.word("reason") else ""
    return Told(event.word("verdict"), f"by {by}{reason}", "green" if event.word("verdict") == "approved" else "red")


def _agent(event: TaskEvent) -> Told:
    call = f"{event.word('tool')} {event.word('display')}"
    return tell_agent(event.word("kind"), call, event.word("output") or event.word("display"), event.payload.get("is_error") is True)


def _sandbox(event: TaskEvent) -> Told:
    isolation = event.word("isolation")
    bare = " WITHOUT ISOLATION" if isolation.startswith("none") else ""
    return tell_phase("sandbox", f"Sandbox ready{bare} ({event.word('provider')}, {isolation})")


def _ended(event: TaskEvent) -> Told | None:
    return Told("", event.word("caveat"), "yellow") if event.word("caveat") else None


def _say(label: str, text: str, style: str = "", doing: str = "") -> Tell:
    """A line with fields of the payload in it, no text for those that are not there."""
    return lambda event: Told(label, text.format_map(defaultdict(str, {name: event.word(name) for name in event.payload})), style, doing)


def _said(event: TaskEvent) -> Told:
    return Told("told", f"{brief(event.word('text'))} (by {event.word('by')})", "cyan")


def _answered(event: TaskEvent) -> Told:
    allowed = event.word("verdict") == "allowed"
    words = _VERDICTS.get(event.word("verdict")) or f"{event.word('verdict')} by {event.word('by')}"
    reason = f": {event.word('reason')}" if event.word("reason") else ""
    return Told("call", f"{words}{reason}", "green" if allowed else "red", "the agent is working")


def _waits(event: TaskEvent) -> Told | None:
    """What is waited for is told by its question, but for what asks nobody."""
    why = _WAITS.get(event.word("why"))
    return Told("waiting", why, "yellow", why) if why else None


def _parked(event: TaskEvent) -> Told:
    if event.word("why") == "forge":
        return Told("parked", f"the forge is asked again at {event.word('until')[11:19]} UTC", "dim", _WAITS["forge"])
    return Told("parked", "the agent's place is free for others until somebody decides", "dim", WAITING)


def _judged(event: TaskEvent) -> Told | None:
    if event.payload.get("cleared") is True:
        return Told("push", f"allowed by {event.word('by')}", "green") if event.word("by") else None
    reasons = event.payload.get("reasons")
    return Told("push", f"looked at first: {'; '.join(map(str, reasons)) if isinstance(reasons, list) else ''}", "yellow", WAITING)


def _pull_request(event: TaskEvent) -> Told:
    return Told(
        "merged" if event.payload.get("merged") is True else "closed", f"pull request #{event.word('number')} by {event.word('by')}"
    )


def _brief_payload(event: TaskEvent) -> str:
    return brief(json.dumps(event.payload, ensure_ascii=False)) if event.payload else ""


_VERDICTS: Final[Mapping[str, str]] = {"timed_out": "nobody decided in time", "withdrawn": "taken back"}
_WAITS: Final[Mapping[str, str]] = {
    "paused": "paused",
    "forge": "the forge does not answer, or takes no more for now",
    "place": "it may go on, and waits for a place",
}
_CAUSES: Final[Mapping[str, str]] = {
    "approval_rejected": "its approval was rejected",
    "approval_expired": "nobody approved it in time",
    "parent_cancelled": "the task that it is a part of was cancelled",
}
_TOLD: Final[Mapping[str, Tell]] = {
    "gap": _say("gap", "{message}", "yellow"),
    "task.created": _created,
    "task.assigned": _assigned,
    "task.approval_required": _held,
    "task.released": _say("released", "by {by}", "green", "waiting for its agent"),
    "task.in_progress": _started,
    "task.retry_scheduled": _retry,
    "task.sla_breached": _say("late", "it was promised by {deadline}", "red"),
    "task.child_added": _say("child", "{child_task_id}", "dim"),
    "task.cancelling": _say("stopping", "{cause} by {by} {reason}", "yellow", "stopping"),
    "task.completed": _completed,
    "task.failed": _say("failed", "{error}", "bold red"),
    "task.cancelled": _cancelled,
    "approval.requested": _asked,
    "approval.voted": _say("vote", "{verdict} by {by} {reason}"),
    "approval.escalated": _say("asked", "others, as nobody decided in time (stage {stage})", "yellow"),
    "approval.overdue": _say("overdue", "nobody decided in time; it stays open", "yellow"),
    "approval.decided": _decided,
    "approval.withdrawn": _say("", "nobody has to decide any more. {reason}", "dim"),
    "run.phase": lambda event: tell_phase(event.word("phase"), event.word("message")),
    "run.sandbox_ready": _sandbox,
    "run.agent_checked": _say("", "{agent} is there {version}", "dim"),
    "run.cloned": _say("", "{branch} at {commit}", "dim"),
    "run.agent_started": lambda _: None,
    "run.agent_ended": _ended,
    "run.committed": _say("", "{files_changed} file(s), +{additions} -{deletions}", "dim"),
    "run.pushed": lambda _: None,
    "run.pull_request_opened": lambda _: None,
    "agent.output": _agent,
    "message.queued": _said,
    "message.edited": lambda event: replace(_said(event), label="changed"),
    "message.withdrawn": _say("unsaid", "a message, by {by} {reason}", "dim"),
    "message.reordered": _say("", "messages in another order, by {by}", "dim"),
    "message.delivered": lambda _: None,
    "message.taken": _say("taken", "the agent has the message", "cyan", "the agent is working"),
    "message.returned": _say("again", "a message waits for attempt {attempt}, which has a conversation of its own", "cyan"),
    "message.closed": lambda _: None,
    "run.steered": _say("", "{steer} wanted by {by}", "dim"),
    "run.interrupted": _say("stopped", "what the agent was doing, by {by}", "yellow"),
    "run.approval_wanted": lambda _: None,
    "run.approval_dropped": lambda _: None,
    "run.call_answered": _answered,
    "run.rule_granted": _say("", "allowed for the whole run by {by}", "dim"),
    "run.waiting": _waits,
    "run.goes_on": _say("", "going on", "dim", "the agent is working"),
    "run.parked": _parked,
    "run.woken": _say("", "taken up again", "dim", "the agent is working"),
    "run.budget_raised": _say("budget", "${usd} more, by {by}", "green", "the agent is working"),
    "run.push_judged": _judged,
    "run.snapshot_kept": lambda _: None,
    "task.waiting": lambda _: None,
    "task.goes_on": lambda _: None,
    "model.answered": lambda _: None,
    "pull_request.ended": _pull_request,
    **tidings_home.TOLD,
}
"""By the name of the event. What the phases tell already is not told again."""
NAMES: Final = tuple(_TOLD)
