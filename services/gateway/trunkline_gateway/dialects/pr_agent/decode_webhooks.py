"""From what a pr_agent client sends about webhooks to what Trunkline understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from trunkline.contracts.errors import Invalid, NotFound
from trunkline.contracts.webhook import MOST_EVENTS
from trunkline_gateway.dialects.pr_agent.decode import SURFACE
from trunkline_gateway.dialects.pr_agent.schemas_webhooks import LONGEST_SECRET, SHORTEST_SECRET, NewSecret, WebhookBody, WebhookChange
from trunkline_gateway.usecases import webhooks
from trunkline_gateway.usecases.webhooks import WebhookWish

Schema = TypeVar("Schema", bound=BaseModel)
USUAL: Final = ("job.completed", "job.failed")
_HOOK: Final = re.compile(r"wh_[0-9a-f]{32}")
_CODE_OF_FIELD: Final = {"url": "BAD_WEBHOOK_URL", "events": "BAD_WEBHOOK_EVENTS", "secret": "BAD_WEBHOOK_SECRET", "cursor": "BAD_CURSOR"}
"""As the relay refuses what has the right form and cannot be."""
SIZE_OF_SECRET: Final = f"must have {SHORTEST_SECRET} to {LONGEST_SECRET} characters"
SIZE_OF_EVENTS: Final = f"must name 1 to {MOST_EVENTS} events"
_IN_WORDS: Final = {
    "cursor string_pattern_mismatch": "is not one that was given for this list; begin again without it",
    "secret too_short": SIZE_OF_SECRET,
    "secret too_long": SIZE_OF_SECRET,
    "events too_short": SIZE_OF_EVENTS,
    "events too_long": SIZE_OF_EVENTS,
    "missing": "is required",
    "string_pattern_mismatch": "must be an event such as job.completed, a family such as task.*, or * for all",
}


def wish(body: Mapping[str, JsonValue]) -> WebhookWish:
    """Raises Invalid, as all of these do, and never says the value: it may be a secret."""
    asked = read(WebhookBody, body)
    secret = asked.secret.get_secret_value() if asked.secret else ""
    return WebhookWish(asked.url, tuple(asked.events or USUAL), SURFACE, secret, own_only=True)


def change(body: Mapping[str, JsonValue]) -> webhooks.WebhookChange:
    """Nobody has an address of its own believed without a handshake."""
    asked = read(WebhookChange, body)
    return webhooks.WebhookChange(asked.url, None if asked.events is None else tuple(asked.events), asked.enabled)


def secret(body: Mapping[str, JsonValue]) -> str:
    """No text: one is to be made."""
    asked = read(NewSecret, body)
    return asked.secret.get_secret_value() if asked.secret else ""


def hook(text: str) -> str:
    """Raises NotFound: no webhook can have another name."""
    if not _HOOK.fullmatch(text):
        raise unknown()
    return text


def unknown() -> NotFound:
    return NotFound("there is no such webhook", code="WEBHOOK_NOT_FOUND")


def read(schema: type[Schema], sent: Mapping[str, object]) -> Schema:
    """Raises Invalid."""
    try:
        return schema.model_validate(sent)
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> Invalid:
    """The first problem only."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field, top = ".".join(str(part) for part in first["loc"]), str(first["loc"][0])
    usual = first["msg"].replace("Input should", "must").replace("String should", "must")
    said = _IN_WORDS.get(f"{top} {first['type']}", _IN_WORDS.get(first["type"], usual))
    return Invalid(f"{field} {said}", code=_CODE_OF_FIELD.get(top, "INVALID_REQUEST"), field=field)
