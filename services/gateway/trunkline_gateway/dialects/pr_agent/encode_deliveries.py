"""From what Trunkline says of deliveries to webhooks to what a pr_agent client reads."""

from __future__ import annotations

import re
from typing import Final

from pydantic import JsonValue

from trunkline.contracts.webhook import DeliveryPage, DeliveryView, Redelivered
from trunkline_gateway.dialects.pr_agent.encode import Object, job_id, moment

SHOWN: Final = 2000
"""Characters of a body in a list."""
_TASK: Final = re.compile(r"[0-9a-f]{32}")


def page(found: DeliveryPage, limit: int) -> Object:
    shown: list[JsonValue] = [delivery(view, SHOWN) for view in found.deliveries]
    return {"deliveries": shown, "total": found.total, "count": len(shown), "limit": limit, "nextCursor": found.next}


def redelivered(hook: str, told: Redelivered) -> Object:
    return {"id": hook, "count": told.count, "more": told.more}


def delivery(view: DeliveryView, most: int | None = None) -> Object:
    """`most` characters of each body; None: all of it."""
    return {
        "id": view.id,
        "webhookId": view.hook_id,
        "event": view.type,
        "eventId": view.event or None,
        "jobId": job_id(view.task_id) if _TASK.fullmatch(view.task_id) else None,
        "status": view.status.value,
        "tries": view.tries,
        "redelivered": view.round,
        "lastAnswer": _last_answer(view),
        "problem": view.problem or None,
        "request": {"url": view.url, "headers": {**view.headers}, **_body(view.body, most)},
        "answer": _answer(view, most),
        "attempts": _tries(view),
        "createdAt": moment(view.created_at),
        "nextTryAt": moment(view.next_try_at) if view.next_try_at else None,
        "endedAt": moment(view.ended_at) if view.ended_at else None,
    }


def _tries(view: DeliveryView) -> list[JsonValue]:
    return [{"at": moment(one.at), "tookMs": one.took_ms, "status": one.status, "error": one.error or None} for one in view.history]


def _last_answer(view: DeliveryView) -> str | None:
    if not view.history:
        return None
    last = max(view.history, key=lambda one: one.at)
    return last.error if last.status is None else str(last.status)


def _answer(view: DeliveryView, most: int | None) -> Object | None:
    if view.answer is None:
        return None
    body = _body(view.answer.body, most)
    return {"status": view.answer.status, "headers": {**view.answer.headers}, **body, "cut": bool(body["cut"]) or view.answer.cut}


def _body(text: str, most: int | None) -> Object:
    return {"body": text if most is None else text[:most], "cut": most is not None and len(text) > most}
