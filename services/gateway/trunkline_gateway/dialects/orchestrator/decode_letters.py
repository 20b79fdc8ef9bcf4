"""From what an orchestrator client asks of dead letters to what Trunkline understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from multidict import MultiMapping
from pydantic import JsonValue

from trunkline.contracts.errors import Invalid
from trunkline.contracts.letters import LetterEdit, LetterKind, LetterState, ListLetters
from trunkline.contracts.task import Priority
from trunkline_gateway.dialects.orchestrator import reading
from trunkline_gateway.dialects.orchestrator.decode import PROMPT_LIMIT
from trunkline_gateway.dialects.orchestrator.decode_lists import NOBODY
from trunkline_gateway.dialects.orchestrator.schemas_letters import DiscardBody, EditBody, LettersQuery, RequeueBody, RequeueManyBody

Object = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Many:
    """Which letters are meant: these, or those that match, at most so many."""

    ids: tuple[str, ...]
    query: ListLetters | None
    limit: int


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
    asked = reading.body(RequeueBody, sent).edit
    return _edit(asked) if asked and asked.model_fields_set else None


def many(sent: Object, now: datetime) -> Many:
    """Raises Invalid; a wish that says neither is no wish for everything."""
    asked = reading.body(RequeueManyBody, sent)
    if (asked.ids is None) is (asked.kind is None):
        raise Invalid("say either ids, or the kind of those that are to be requeued", code=reading.INVALID_VALUE, field="ids")
    if asked.ids is not None:
        return Many(tuple(asked.ids), None, len(asked.ids))
    since = reading.moment("since", asked.since) if asked.since else None
    kinds = (LetterKind(asked.kind or "task"),)
    return Many((), ListLetters(tenant=NOBODY, at=now, kinds=kinds, q=asked.q or "", since=since), asked.limit)


def reason(sent: Object) -> str:
    """Raises Invalid."""
    return reading.body(DiscardBody, sent).reason


def _edit(asked: EditBody) -> LetterEdit:
    if asked.prompt is not None and (not asked.prompt.strip() or len(asked.prompt.encode()) > PROMPT_LIMIT):
        raise reading.wrong("edit.prompt", f"must say something, in at most {PROMPT_LIMIT} bytes")
    priority = Priority[asked.priority] if asked.priority else None
    return LetterEdit(payload=asked.payload, prompt=asked.prompt, priority=priority, metadata=asked.metadata, body=asked.body)
