"""From what Trunkline says of dead letters to what an orchestrator client reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from trunkline.contracts.letters import LetterEdit, LetterHandled, LetterKind, LetterPage, LetterView
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.encode import Object, moment
from trunkline_gateway.usecases.letters import Came

_TASK: Final = re.compile(r"[0-9a-f]{32}")


def listed(page: LetterPage, cursor: str | None) -> Object:
    shown: list[JsonValue] = [letter(view) for view in page.letters]
    return {"success": True, "count": len(shown), "total": page.total, "letters": shown, "next_cursor": cursor}


def read(view: LetterView) -> Object:
    return {"success": True, "letter": {**letter(view), "body": view.body}}


def requeued(view: LetterView) -> Object:
    made = _made(view)
    return {"success": True, "message": f"Requeued as {made}" if made else "Requeued", "letter": letter(view)}


def discarded(view: LetterView) -> Object:
    return {"success": True, "message": "Discarded; it may still be requeued", "letter": letter(view)}


def requeued_many(came: Sequence[Came], more: bool) -> Object:
    results: list[JsonValue] = [_result(each) for each in came]
    count = sum(each.refused is None for each in came)
    failed = len(came) - count
    said = f"{count} requeued" if count else "None requeued"
    said += f", {failed} not" if failed else ""
    said += "; there are more, ask again for those" if more else ""
    return {"success": True, "message": said, "count": count, "failed": failed, "more": more, "results": results}


def letter(view: LetterView) -> Object:
    return {
        "letter_id": view.id,
        "kind": view.kind.value,
        "state": view.state.value,
        "what": view.what,
        "code": view.code or None,
        "why": view.why,
        "tries": view.tries,
        "at": moment(view.at),
        "task_id": _task(view.task_id),
        "editable": list(view.editable),
        "handled": _handled(view, view.handled) if view.handled else None,
    }


def _handled(view: LetterView, handled: LetterHandled) -> Object:
    edited: list[JsonValue] = [name for name in LetterEdit.model_fields if handled.edit and getattr(handled.edit, name) is not None]
    return {
        "state": handled.state.value,
        "by": handled.by,
        "at": moment(handled.at),
        "requeued": handled.count,
        "done": handled.done,
        "made": _made(view) or None,
        "edited": edited,
        "reason": handled.reason or None,
        "problem": handled.problem or None,
    }


def _result(came: Came) -> Object:
    refused = came.refused
    return {
        "letter_id": came.letter,
        "requeued": refused is None,
        "made": (_made(came.view) or None) if came.view else None,
        "code": refused.code if refused else None,
        "detail": refused.message if refused else None,
    }


def _made(view: LetterView) -> str:
    """As this surface names it."""
    made = view.handled.made if view.handled else ""
    return names.task(made) if made and view.kind in (LetterKind.TASK, LetterKind.TRIGGER) else made


def _task(task_id: str | None) -> str | None:
    return names.task(task_id) if task_id and _TASK.fullmatch(task_id) else task_id
