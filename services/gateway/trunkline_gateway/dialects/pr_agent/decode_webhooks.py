"""From what a pr_agent client sends about webhooks to what Trunkline understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue, ValidationError

from trunkline.contracts.errors import Invalid, NotFound
from trunkline_gateway.dialects.pr_agent.decode import SURFACE
from trunkline_gateway.dialects.pr_agent.schemas_webhooks import WebhookBody
from trunkline_gateway.usecases.webhooks import WebhookWish

USUAL: Final = ("job.completed", "job.failed")
_HOOK: Final = re.compile(r"wh_[0-9a-f]{32}")
_CODE_OF_FIELD: Final = {"url": "BAD_WEBHOOK_URL", "events": "BAD_WEBHOOK_EVENTS", "secret": "BAD_WEBHOOK_SECRET"}
"""As the relay refuses what has the right form and cannot be."""
_IN_WORDS: Final = {
    "missing": "is required",
    "string_pattern_mismatch": "must be an event such as job.completed, a family such as task.*, or * for all",
}


def wish(body: Mapping[str, JsonValue]) -> WebhookWish:
    """Raises Invalid, and never says the value: it may be a secret."""
    try:
        asked = WebhookBody.model_validate(body)
    except ValidationError as error:
        raise _refusal(error) from None
    secret = asked.secret.get_secret_value() if asked.secret else ""
    return WebhookWish(asked.url, tuple(asked.events or USUAL), SURFACE, secret, own_only=True)


def hook(text: str) -> str:
    """Raises NotFound: no webhook can have another name."""
    if not _HOOK.fullmatch(text):
        raise unknown()
    return text


def unknown() -> NotFound:
    return NotFound("there is no such webhook", code="WEBHOOK_NOT_FOUND")


def _refusal(error: ValidationError) -> Invalid:
    """The first problem only."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field, top = ".".join(str(part) for part in first["loc"]), str(first["loc"][0])
    said = _IN_WORDS.get(first["type"], first["msg"].replace("Input should", "must").replace("String should", "must"))
    return Invalid(f"{field} {said}", code=_CODE_OF_FIELD.get(top, "INVALID_REQUEST"), field=field)
