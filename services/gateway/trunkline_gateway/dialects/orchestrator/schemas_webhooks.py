"""What a client sends about webhooks on the orchestrator surface, field by field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from trunkline.contracts.webhook import LONGEST_PAGE, LONGEST_URL, MOST_EVENTS
from trunkline_gateway.dialects.orchestrator import names, patterns
from trunkline_gateway.dialects.orchestrator.schemas import BODY, LOOSE, QUERY, Seal, Whole

Url = Annotated[str, Field(min_length=1, max_length=LONGEST_URL, examples=["https://example.com/hook"])]
EventPattern = Annotated[str, Field(pattern=patterns.WEBHOOK_EVENT, max_length=128, examples=["job.completed"])]
EventPatterns = Annotated[list[EventPattern], Field(min_length=1, max_length=MOST_EVENTS)]
Secret = Annotated[str, Field(min_length=16, max_length=256, examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])]
Description = Annotated[str, Field(max_length=500)]
Status = Literal["pending", "retrying", "delivered", "dead", "cancelled"]


class WebhookPath(BaseModel):
    model_config = LOOSE

    webhook_id: Annotated[str, Field(pattern=names.WEBHOOK, examples=["wh_01a1fe1a15477676b883dd25f2dda5a4"])]


class DeliveryPath(WebhookPath):
    delivery_id: Annotated[str, Field(pattern=names.DELIVERY, examples=["dlv_01a1fe1a15477676b883dd25f2dda5a401a1fe1a"])]
    """What its receiver reads in `webhook-id`."""


class WebhookBody(BaseModel):
    """POST /webhooks."""

    model_config = BODY

    url: Url
    """https, on port 443, 8443 or one of the settings. It must answer the handshake before it hears of anything."""
    events: EventPatterns
    """`job.completed`, `job.failed`, `approval.requested`, `approval.decided`, `task.<word>`, families such as `task.*`, and `*`."""
    secret: Secret | None = None
    """Signs what is sent: `whsec_` and 24 to 64 bytes in base64, or any text of 16 characters and more. By default one is made."""
    description: Description | None = None
    verify: bool = True
    """False: the address is believed without a handshake."""


class WebhookChangeBody(BaseModel):
    """PATCH /webhooks/{webhook_id}: what is not named stays."""

    model_config = BODY

    url: Url | None = None
    """Another address has to answer the handshake first."""
    events: EventPatterns | None = None
    enabled: bool | None = None
    """False: it hears of nothing until it is true again, and the handshake answered anew."""
    description: Description | None = None
    verify: bool = True
    """False: another address is believed without a handshake."""


class RotateBody(BaseModel):
    """POST /webhooks/{webhook_id}/rotate; none is needed."""

    model_config = BODY

    secret: Secret | None = None
    """The new one; by default one is made."""


class WebhooksQuery(BaseModel):
    """GET /webhooks."""

    model_config = QUERY

    own_only: Literal["true", "false"] | None = None
    """`false`: those alone that hear of the whole tenant; `true`: those of callers for their own jobs. By default both."""
    limit: Annotated[Whole, Field(ge=1, le=LONGEST_PAGE)] = LONGEST_PAGE
    cursor: Seal | None = None


class DeliveriesQuery(BaseModel):
    """GET /webhooks/{webhook_id}/deliveries."""

    model_config = QUERY

    status: Status | None = None
    limit: Annotated[Whole, Field(ge=1, le=LONGEST_PAGE)] = 20
    cursor: Seal | None = None


class RedeliverBody(BaseModel):
    """POST /webhooks/{webhook_id}/redeliver; none is needed."""

    model_config = BODY

    since: Annotated[str, Field(max_length=64, examples=["2025-10-22T06:00:00Z"])] | None = None
    """An ISO time: only what was made since then. By default everything that is still kept."""
    status: Status = "dead"
