"""What a pr_agent client sends and reads of webhooks, field by field."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from trunkline.contracts.webhook import LONGEST_URL, MOST_EVENTS
from trunkline_gateway.dialects.pr_agent.schemas import Moment

SHORTEST_SECRET: Final = 16
LONGEST_SECRET: Final = 256
PATTERN = r"^(?:\*|[a-z0-9_]+(?:\.[a-z0-9_]+)*(?:\.\*)?)$"
Pattern = Annotated[str, Field(pattern=PATTERN, max_length=128, examples=["job.completed"])]
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=MOST_EVENTS)]
Url = Annotated[str, Field(min_length=1, max_length=LONGEST_URL, examples=["https://your-server.com/webhook"])]
Secret = Annotated[SecretStr, Field(min_length=SHORTEST_SECRET, max_length=LONGEST_SECRET)]
BODY: Final = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)


class WebhookBody(BaseModel):
    """POST /api/pr-agent/webhooks."""

    model_config = BODY

    url: Url
    """https, on port 443, 8443 or one of the settings. It must answer the handshake before it hears of anything."""
    events: Patterns | None = None
    """By default `job.completed` and `job.failed`; also `task.*` and its like."""
    secret: Secret | None = None
    """Signs what is sent: `whsec_` and 24 to 64 bytes in base64, or any text of 16 characters and more. By default one is made."""


class WebhookChange(BaseModel):
    """PATCH /api/pr-agent/webhooks/{webhookId}: what is not named stays."""

    model_config = BODY

    url: Url | None = None
    """Another address has to answer the handshake first."""
    events: Patterns | None = None
    enabled: bool | None = None
    """False: it hears of nothing until it is true again, and the handshake answered anew."""


class NewSecret(BaseModel):
    """POST /api/pr-agent/webhooks/{webhookId}/rotate; none is needed."""

    model_config = BODY

    secret: Secret | None = None
    """By default one is made."""


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
    """Why it is not told, or was disabled."""
    disabledBy: Literal["person", "gone", "failing"] | None
    """A person, its receiver by 410, or five days without an answer."""
    secretHint: str | None
    """The last four characters of its newest secret."""
    signsWithBothUntil: Moment | None
    """After a rotation: when the secret before stops signing."""
    createdAt: Moment
    updatedAt: Moment
    verifiedAt: Moment | None
    failingSince: Moment | None


class WebhookMade(Webhook):
    """The one answer that shows the secret: to making one, and to a rotation."""

    secret: str


class WebhookList(BaseModel):
    """One's own, the newest first; all that there are."""

    webhooks: list[Webhook]
    total: int
    count: int


class WebhookRemoved(BaseModel):
    id: str
    deleted: Literal[True]
