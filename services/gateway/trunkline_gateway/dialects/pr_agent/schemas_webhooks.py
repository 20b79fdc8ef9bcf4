"""What a pr_agent client sends and reads of webhooks, field by field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from trunkline.contracts.webhook import LONGEST_URL, MOST_EVENTS
from trunkline_gateway.dialects.pr_agent.schemas import Moment

PATTERN = r"^(?:\*|[a-z0-9_]+(?:\.[a-z0-9_]+)*(?:\.\*)?)$"
Pattern = Annotated[str, Field(pattern=PATTERN, max_length=128, examples=["job.completed"])]


class WebhookBody(BaseModel):
    """POST /api/pr-agent/webhooks."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)

    url: Annotated[str, Field(min_length=1, max_length=LONGEST_URL, examples=["https://your-server.com/webhook"])]
    """https, on port 443, 8443 or one of the settings. It must answer the handshake before it hears of anything."""
    events: Annotated[list[Pattern], Field(min_length=1, max_length=MOST_EVENTS)] | None = None
    """By default `job.completed` and `job.failed`; also `task.*` and its like."""
    secret: Annotated[SecretStr, Field(min_length=16, max_length=256)] | None = None
    """Signs what is sent: `whsec_` and 24 to 64 bytes in base64, or any text of 16 characters and more. By default one is made."""


class Hooked(BaseModel):
    """What names a webhook in a path."""

    webhookId: Annotated[str, Field(pattern=r"^wh_[0-9a-f]{32}$", examples=["wh_01a1fe1a15477676b883dd25f2dda5a4"])]


class Webhook(BaseModel):
    """It hears of its owner's own jobs. It is `pending` until its address answered the handshake, and hears of nothing until then."""

    id: str
    url: str
    events: list[str]
    status: Literal["pending", "active", "disabled"]
    problem: str | None
    secretHint: str | None
    """The last four characters of its secret."""
    createdAt: Moment
    verifiedAt: Moment | None


class WebhookMade(Webhook):
    """The one answer that shows the secret."""

    secret: str


class WebhookList(BaseModel):
    """One's own, the newest first; all that there are."""

    webhooks: list[Webhook]
    total: int
    count: int


class WebhookRemoved(BaseModel):
    id: str
    deleted: Literal[True]
