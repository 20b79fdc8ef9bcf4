"""From what Trunkline says of webhooks to what a pr_agent client reads."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from trunkline.contracts.webhook import WebhookMade, WebhookView
from trunkline_gateway.dialects.pr_agent.encode import Object, moment


def made(told: WebhookMade) -> Object:
    return webhook(told.webhook) | {"secret": told.secret}


def listed(views: Sequence[WebhookView]) -> Object:
    shown: list[JsonValue] = [webhook(view) for view in views]
    return {"webhooks": shown, "total": len(shown), "count": len(shown)}


def webhook(view: WebhookView) -> Object:
    return {
        "id": view.id,
        "url": view.url,
        "events": list(view.events),
        "status": view.status.value,
        "problem": view.problem or None,
        "disabledBy": view.disabled_by.value if view.disabled_by else None,
        "secretHint": view.hint or None,
        "signsWithBothUntil": moment(view.signs_with_both_until) if view.signs_with_both_until else None,
        "createdAt": moment(view.created_at),
        "updatedAt": moment(view.updated_at),
        "verifiedAt": moment(view.verified_at) if view.verified_at else None,
        "failingSince": moment(view.failing_since) if view.failing_since else None,
    }
