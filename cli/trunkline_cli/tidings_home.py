"""What the events of an agent that calls home, and of its workflow run, mean to a person: one line each, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from trunkline_cli.shapes import TaskEvent
from trunkline_cli.timeline import Told, brief

Tell = Callable[[TaskEvent], Told | None]
BEGUN: Final = "begun"
WORKING: Final = "the agent is working"
WAITING: Final = "waiting for an answer"
_STYLES: Final = {"COMPLETED": "green", "FAILED": "red", "KILLED": "red", "STALE": "yellow"}


def _said(event: TaskEvent) -> Told:
    asks = event.payload.get("asks") is True
    text = brief(event.word("text"))
    return Told("asks", text, "bold yellow", WAITING) if asks else Told("agent", text, "", WORKING)


def _asked(event: TaskEvent) -> Told:
    text = event.word("text")
    return Told("asks", brief(text) if text else "for input on what it said before", "bold yellow", WAITING)


def _told(event: TaskEvent) -> Told:
    return Told("told", f"{brief(event.word('text'))} (by {event.word('by')})", "cyan", WORKING)


def _moved(event: TaskEvent) -> Told | None:
    """What was asked, and that it goes on, is told by the messages themselves."""
    status, was = event.word("status"), event.word("was")
    if status == "AWAITING_INPUT" or (status, was) == ("ACTIVE", "AWAITING_INPUT"):
        return None
    why = f": {event.word('why')}" if event.word("why") else ""
    return Told("agent", f"{was} to {status}{why}", _STYLES.get(status, "dim"))


def _diffed(event: TaskEvent) -> Told:
    lines = event.word("diff").splitlines()
    added = sum(line.startswith("+") and not line.startswith("+++") for line in lines)
    removed = sum(line.startswith("-") and not line.startswith("---") for line in lines)
    return Told("changes", f"+{added} -{removed} lines so far" if lines else "none any more", "dim")


def _wanted(event: TaskEvent) -> Told:
    return Told("workflow", f"{event.word('event_type')} is to be sent to {event.word('repo')}", "dim", "waiting for GitHub")


def _tried(event: TaskEvent) -> Told | None:
    """That it is about to be tried is told by what came of it."""
    outcome = event.word("outcome")
    if outcome == BEGUN:
        return None
    what = "cancel" if event.event_type == "dispatch.cancel_tried" else "start"
    told = " ".join(filter(None, (what, outcome.replace("_", " "), event.word("status"), event.word("error"))))
    return Told("workflow", told, "dim" if outcome == "accepted" else "yellow", "waiting for its run")


def _seen(event: TaskEvent) -> Told:
    run = event.payload.get("run")
    said = run if isinstance(run, dict) else {}
    stands = said.get("conclusion") or said.get("status") or "seen"
    return Told("workflow", f"{stands}: {said.get('url') or said.get('run_id')}", "bold" if said.get("conclusion") else "dim")


def _run_told(event: TaskEvent) -> Told | None:
    """What was told of a run, and is so, is told by its run that was seen."""
    why = event.word("refused")
    return Told("workflow", f"run {event.word('run_id')}, which its key named, is not its own: {why}", "yellow") if why else None


def _given_up(event: TaskEvent) -> Told:
    return Told("workflow", f"given up: {event.word('error')}", "red")


TOLD: Final[Mapping[str, Tell]] = {
    "instance.opened": lambda event: Told("agent", f"{event.word('agent_type')} has a conversation", "dim"),
    "instance.said": _said,
    "instance.told": _told,
    "instance.asked": _asked,
    "instance.read": lambda _: None,
    "instance.moved": _moved,
    "instance.diffed": _diffed,
    "dispatch.wanted": _wanted,
    "dispatch.tried": _tried,
    "dispatch.run_seen": _seen,
    "dispatch.run_told": _run_told,
    "dispatch.given_up": _given_up,
    "dispatch.cancel_tried": _tried,
    "dispatch.key_revoked": lambda _: None,
}
