"""Dead letters, thought about: how each is called and shown, how it stands, and what it is when it is edited."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
from pydantic import JsonValue

from trunkline.contracts.errors import Conflict, Invalid
from trunkline.contracts.ids import token
from trunkline.contracts.letters import LetterEdit, LetterHandled, LetterKind, LetterName, LetterState, LetterView, ListLetters
from trunkline.contracts.task import Assignment, Executor

DISPATCH: Final = "dispatch"
SCHEDULE: Final = "schedule"
TRIGGERS: Final = (DISPATCH, SCHEDULE)
"""Of whom letters tell that nothing was begun; all others are consumers."""
REQUEUED_FROM: Final = "requeued_from"
"""The label of a task that was made of a letter."""
OF_TASKS: Final = ("payload", "prompt", "priority", "metadata")
AT_THE_DOOR: Final = ("repo", "branch", "max_retries", "parent")
"""What the door of a task read out of these, as whoever edits them does again."""
OF_MESSAGES: Final = ("body",)
_TENANT_AT: Final[Mapping[str, int]] = {"evt": 1, "deliver": 1, "hook": 1, "schedule": 1, "dead": 2}
"""Which token of a subject says whose it is, by the first."""
_NOBODY: Final = "-"


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A letter that lies in the stream DEAD, without its body."""

    name: LetterName
    tenant: str
    seq: int
    """Of the letter."""
    at: datetime
    subject: str
    """Where the letter lies."""
    consumer: str
    stream: str
    place: int
    """Of what was given up on, in its stream."""
    source: str
    """The subject of what was given up on."""
    reason: str
    tries: int


@dataclass(frozen=True, slots=True)
class Done:
    """What was done about a letter last, and the sequence of the record that says so."""

    handled: LetterHandled
    seq: int


def name_of(what: str, id: str) -> LetterName:
    """What a letter is called that lies under `dead.<what>.<tenant>.<id>`."""
    return LetterName(LetterKind.TRIGGER, id) if what in TRIGGERS else LetterName(LetterKind.MESSAGE, what, id)


def tenant_of(told: str, source: str, body: JsonValue, otherwise: str) -> str:
    """Whose it is: by where it lies, by its subject, or by its body; and what nobody can know is `otherwise`'s."""
    if told != _NOBODY:
        return told
    tokens = source.split(".")
    place = _TENANT_AT.get(tokens[0])
    if place is not None and place < len(tokens):
        return tokens[place]
    said = body.get("tenant") if isinstance(body, dict) else None
    try:
        return token(said) if isinstance(said, str) else otherwise
    except ValueError:
        return otherwise


def raw_body(told: str) -> bytes:
    """Of the base64 that a letter keeps."""
    try:
        return base64.b64decode(told)
    except binascii.Error:
        return b""


def read_body(raw: bytes) -> JsonValue:
    """As JSON where it is that, else as text; what is no UTF-8 shows as U+FFFD."""
    try:
        read: JsonValue = orjson.loads(raw)
        return read
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace")


def is_fact(source: str) -> bool:
    """Whether it lies in a stream for good: such a message is never sent again, for it would have happened twice."""
    return source.partition(".")[0] not in ("due", "work")


def is_timer(source: str) -> bool:
    return source.partition(".")[0] == "due"


def owner_of(consumer: str) -> str:
    """The service whose handler could not take it."""
    return consumer.removeprefix("due-").partition("-")[0]


def state(at: datetime, handled: LetterHandled | None) -> LetterState:
    """How it stands; what was given up on again after somebody dealt with it is open."""
    if handled is None or (handled.done and (handled.problem or at > handled.at)):
        return LetterState.OPEN
    return handled.state


def stands(view: LetterView, handled: LetterHandled | None) -> LetterView:
    return view.model_copy(update={"state": state(view.at, handled), "handled": handled})


def fits(view: LetterView, query: ListLetters) -> bool:
    """Whether it is asked for, of the kind that it is."""
    if (query.state and view.state is not query.state) or (query.since and view.at < query.since):
        return False
    sought = query.q.casefold()
    return not sought or any(sought in text.casefold() for text in (view.id, view.what, view.code, view.why, view.task_id or ""))


def check_editable(view: LetterView, edit: LetterEdit | None) -> None:
    """Raises Invalid."""
    asked = [name for name in LetterEdit.model_fields if edit and getattr(edit, name) is not None]
    may = {*view.editable, *(AT_THE_DOOR if view.editable == OF_TASKS else ())}
    if wrong := [name for name in asked if name not in may]:
        named = f"only {', '.join(view.editable)}" if view.editable else "nothing"
        why = "" if view.editable else ": what it says has happened"
        raise Invalid(f"{wrong[0]} of this letter cannot be edited, {named} can{why}", code="LETTER_NOT_EDITABLE", field=f"edit.{wrong[0]}")


def check_assignment(assignment: Assignment) -> None:
    """Raises Conflict for what nobody can begin again by itself."""
    if assignment.executor is Executor.CALLBACK:
        raise Conflict("somebody else's agent began this task by calling home; start that agent again", code="LETTER_NOT_OURS")
    if assignment.credential:
        why = "the task came with a token of its caller's, which was forgotten at its end; submit it anew with one"
        raise Conflict(why, code="FORGE_TOKEN_NEEDED")


def edited(assignment: Assignment, edit: LetterEdit | None, letter: str) -> Assignment:
    """What is asked for this time."""
    labels = {**assignment.labels, REQUEUED_FROM: letter}
    asked = {name: value for name in (*OF_TASKS, *AT_THE_DOOR) if edit and (value := getattr(edit, name)) is not None}
    return assignment.model_copy(update={**asked, "labels": labels, "start_at": None})
