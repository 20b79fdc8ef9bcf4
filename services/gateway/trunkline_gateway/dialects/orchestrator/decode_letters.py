"""From what an orchestrator client asks of dead letters to what Trunkline understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from multidict import MultiMapping
from pydantic import JsonValue, ValidationError

from trunkline.contracts.errors import Invalid
from trunkline.contracts.letters import LetterEdit, LetterKind, LetterState, LetterView, ListLetters
from trunkline.contracts.message import JsonObject
from trunkline.contracts.task import Assignment, Priority
from trunkline_gateway.dialects.orchestrator import decode, reading
from trunkline_gateway.dialects.orchestrator.decode import PROMPT_LIMIT
from trunkline_gateway.dialects.orchestrator.decode_lists import NOBODY
from trunkline_gateway.dialects.orchestrator.schemas_letters import DiscardBody, EditBody, LettersQuery, RequeueBody, RequeueManyBody

Object = Mapping[str, JsonValue]
_READ_THERE: Final = ("repo", "branch", "prompt", "max_retries", "parent")


@dataclass(frozen=True, slots=True)
class Many:
    """Which letters are meant: these, or those that match, at most so many; and what of each is to be otherwise."""

    ids: tuple[str, ...]
    query: ListLetters | None
    limit: int
    edit: LetterEdit | None


def listed(query: MultiMapping[str], now: datetime) -> tuple[ListLetters, str | None]:
    """The list asked for, and the cursor as sent. Raises Invalid."""
    asked = reading.query(LettersQuery, query)
    wish = ListLetters(
        tenant=NOBODY,
        at=now,
        kinds=(LetterKind(asked.kind),) if asked.kind else (),
        state=LetterState(asked.state) if asked.state else None,
        q=asked.q or "",
        since=reading.moment("since", asked.since) if asked.since else None,
        limit=asked.limit,
    )
    return wish, asked.cursor


def edit(sent: Object) -> LetterEdit | None:
    """Raises Invalid."""
    return _edit(reading.body(RequeueBody, sent).edit)


def of_door(edit: LetterEdit | None) -> bool:
    """Whether the door at which tasks come in has something to say about it."""
    return edit is not None and (edit.payload is not None or edit.metadata is not None)


def as_at_the_door(edit: LetterEdit, letter: LetterView, now: datetime) -> LetterEdit:
    """Judged as POST /tasks would have; what came out of payload and metadata there comes out of the edited ones. Raises Invalid.

    Tasks that came in by another surface have these for themselves.
    """
    was = _asked(letter)
    if was is None or was.surface != decode.SURFACE or not was.type:
        return edit
    payload = was.payload if edit.payload is None else edit.payload
    metadata = was.metadata if edit.metadata is None else edit.metadata
    after, before = _read(was.type, payload, metadata, now), _read(was.type, was.payload, was.metadata, now)
    read = [name for name in _READ_THERE if getattr(edit, name) is None and getattr(before, name) == getattr(was, name)]
    return edit.model_copy(update={name: value for name in read if (value := getattr(after, name)) != getattr(was, name)})


def many(sent: Object, now: datetime) -> Many:
    """Raises Invalid; a wish that says neither is no wish for everything."""
    asked = reading.body(RequeueManyBody, sent)
    if (asked.ids is None) is (asked.kind is None):
        raise Invalid("say either ids, or the kind of those that are to be requeued", code=reading.INVALID_VALUE, field="ids")
    edit = _edit(asked.edit)
    if asked.ids is not None:
        return Many(tuple(asked.ids), None, len(asked.ids), edit)
    since = reading.moment("since", asked.since) if asked.since else None
    kinds = (LetterKind(asked.kind or "task"),)
    return Many((), ListLetters(tenant=NOBODY, at=now, kinds=kinds, q=asked.q or "", since=since), asked.limit, edit)


def reason(sent: Object) -> str:
    """Raises Invalid."""
    return reading.body(DiscardBody, sent).reason


def _edit(asked: EditBody | None) -> LetterEdit | None:
    """Raises Invalid."""
    if asked is None or not asked.model_fields_set:
        return None
    if asked.prompt is not None and (not asked.prompt.strip() or len(asked.prompt.encode()) > PROMPT_LIMIT):
        raise reading.wrong("edit.prompt", f"must say something, in at most {PROMPT_LIMIT} bytes")
    priority = Priority[asked.priority] if asked.priority else None
    return LetterEdit(payload=asked.payload, prompt=asked.prompt, priority=priority, metadata=asked.metadata, body=asked.body)


def _asked(letter: LetterView) -> Assignment | None:
    """What was to be worked on; None of what is no task."""
    if letter.kind not in (LetterKind.TASK, LetterKind.TRIGGER):
        return None
    try:
        return Assignment.model_validate(letter.body)
    except ValidationError:
        return None


def _read(type: str, payload: JsonObject, metadata: JsonObject, now: datetime) -> Assignment:
    """Raises Invalid."""
    return decode.task({"type": type, "payload": payload, "metadata": metadata}, now).assignment
