"""From what Trunkline says of webhooks to what an orchestrator client reads."""

from __future__ import annotations

import re
from typing import Final

from pydantic import JsonValue

from trunkline.contracts.webhook import DeliveryPage, DeliveryView, Redelivered, WebhookMade, WebhookPage, WebhookView
from trunkline_gateway.dialects.orchestrator import names
from trunkline_gateway.dialects.orchestrator.encode import Object, moment

SHOWN: Final = 2000
"""Characters of a body in a list."""
_TASK: Final = re.compile(r"[0-9a-f]{32}")


def made(told: WebhookMade, message: str) -> Object:
    return {"success": True, "message": message, "webhook_id": told.webhook.id, "webhook": webhook(told.webhook), "secret": told.secret}


def read(view: WebhookView) -> Object:
    return {"success": True, "webhook": webhook(view)}


def changed(view: WebhookView, message: str) -> Object:
    return {"success": True, "message": message, "webhook": webhook(view)}


def listed(page: WebhookPage, cursor: str | None) -> Object:
    shown: list[JsonValue] = [webhook(view) for view in page.webhooks]
    return {"success": True, "count": len(shown), "total": page.total, "webhooks": shown, "next_cursor": cursor}


def removed(hook: str) -> Object:
    return {"success": True, "message": "Webhook removed", "webhook_id": hook}


def webhook(view: WebhookView) -> Object:
    return {
        "webhook_id": view.id,
        "url": view.url,
        "events": list(view.events),
        "status": view.status.value,
        "disabled_by": view.disabled_by.value if view.disabled_by else None,
        "problem": view.problem or None,
        "owner": view.owner,
        "own_only": view.own_only,
        "description": view.description,
        "secrets": view.secrets,
        "secret_hint": view.hint or None,
        "signs_with_both_until": moment(view.signs_with_both_until) if view.signs_with_both_until else None,
        "created_at": moment(view.created_at),
        "updated_at": moment(view.updated_at),
        "verified_at": moment(view.verified_at) if view.verified_at else None,
        "failing_since": moment(view.failing_since) if view.failing_since else None,
    }


def deliveries(page: DeliveryPage, cursor: str | None) -> Object:
    shown: list[JsonValue] = [delivery(view, SHOWN) for view in page.deliveries]
    return {"success": True, "count": len(shown), "total": page.total, "deliveries": shown, "next_cursor": cursor}


def one_delivery(view: DeliveryView) -> Object:
    return {"success": True, "delivery": delivery(view)}


def redelivered(view: DeliveryView) -> Object:
    return {"success": True, "message": "It is on its way again", "delivery": delivery(view)}


def redelivered_many(hook: str, told: Redelivered) -> Object:
    message = f"{told.count} on their way again" if told.count else "There is none to be sent again"
    message += "; there are more, ask again for those" if told.more else ""
    return {"success": True, "message": message, "webhook_id": hook, "count": told.count, "more": told.more}


def delivery(view: DeliveryView, most: int | None = None) -> Object:
    """`most` characters of each body; None: all of it."""
    return {
        "delivery_id": view.id,
        "webhook_id": view.hook_id,
        "event": view.type,
        "event_id": view.event or None,
        "task_id": _task(view.task_id),
        "status": view.status.value,
        "tries": view.tries,
        "redelivered": view.round,
        "last_answer": _last_answer(view),
        "problem": view.problem or None,
        "request": {"url": view.url, "headers": {**view.headers}, **_body(view.body, most)},
        "answer": _answer(view, most),
        "attempts": _tries(view),
        "created_at": moment(view.created_at),
        "next_try_at": moment(view.next_try_at) if view.next_try_at else None,
        "ended_at": moment(view.ended_at) if view.ended_at else None,
    }


def _tries(view: DeliveryView) -> list[JsonValue]:
    return [{"at": moment(one.at), "took_ms": one.took_ms, "status": one.status, "error": one.error or None} for one in view.history]


def _answer(view: DeliveryView, most: int | None) -> Object | None:
    if view.answer is None:
        return None
    body = _body(view.answer.body, most)
    return {"status": view.answer.status, "headers": {**view.answer.headers}, **body, "cut": bool(body["cut"]) or view.answer.cut}


def _body(text: str, most: int | None) -> Object:
    return {"body": text if most is None else text[:most], "cut": most is not None and len(text) > most}


def _last_answer(view: DeliveryView) -> str | None:
    if not view.history:
        return None
    last = max(view.history, key=lambda one: one.at)
    return str(last.status) if last.status is not None else last.error


def _task(task_id: str) -> str | None:
    """What is about no task has none."""
    if not task_id:
        return None
    return names.task(task_id) if _TASK.fullmatch(task_id) else task_id
