"""What a pr_agent client asks of deliveries to its webhooks, and what it reads of them, field by field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trunkline.contracts.webhook import LONGEST_PAGE
from trunkline_gateway.dialects.pr_agent.schemas import Moment
from trunkline_gateway.dialects.pr_agent.schemas_jobs import Whole
from trunkline_gateway.dialects.pr_agent.schemas_webhooks import BODY, Hooked

Status = Literal["pending", "retrying", "delivered", "dead", "cancelled"]


class Delivered(Hooked):
    """What names a delivery in a path."""

    deliveryId: Annotated[str, Field(pattern=r"^dlv_[0-9a-f]{40}$", examples=["dlv_01a1fe1a15477676b883dd25f2dda5a401a1fe1a"])]


class DeliveriesQuery(BaseModel):
    """GET /api/pr-agent/webhooks/{webhookId}/deliveries."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)

    status: Status | None = None
    limit: Annotated[Whole, Field(ge=1, le=LONGEST_PAGE)] = 20
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")] | None = None
    """`nextCursor` of the page before."""


class Redelivery(BaseModel):
    """POST /api/pr-agent/webhooks/{webhookId}/redeliver; none is needed."""

    model_config = BODY

    since: Annotated[str, Field(max_length=64, examples=["2025-10-22T06:00:00Z"])] | None = None
    """An ISO time: only what was made since then. By default everything that is still kept."""
    status: Status = "dead"


class DeliveryRequest(BaseModel):
    """What was sent last, without its signature. In a list a long body is `cut`."""

    url: str
    headers: dict[str, str]
    body: str
    cut: bool


class DeliveryAnswer(BaseModel):
    """What came back, 64 KiB of it at most. In a list a long body is `cut`."""

    status: int
    headers: dict[str, str]
    body: str
    cut: bool


class DeliveryAttempt(BaseModel):
    """`status` is what was answered; `error` why it counts as failed."""

    at: Moment
    tookMs: int
    status: int | None
    error: str | None


class JobDelivery(BaseModel):
    """One event on its way to a webhook. `dead` ones were given up, as `problem` says, and are not tried again by themselves."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    """What the receiver reads in `webhook-id`, the same at each try."""
    webhookId: str
    event: str
    eventId: str | None
    """Its place on the stream of the job."""
    jobId: str | None
    status: Status
    tries: int
    redelivered: int
    """How often it was sent again by hand."""
    lastAnswer: str | None
    """The status of the last answer, or why there was none."""
    problem: str | None
    request: DeliveryRequest
    answer: DeliveryAnswer | None
    attempts: list[DeliveryAttempt]
    """The newest ten."""
    createdAt: Moment
    nextTryAt: Moment | None
    endedAt: Moment | None


class JobDeliveryList(BaseModel):
    """What changed last first. A page may hold less than was asked for; the last one has no `nextCursor`."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    deliveries: list[JobDelivery]
    total: int | None
    """How many of the webhook are kept; null where a `status` is asked for."""
    count: int
    limit: int
    nextCursor: str | None


class RedeliveredOwn(BaseModel):
    """How many are on their way again, a hundred at most; `more`: there are others, ask again."""

    id: str
    count: int
    more: bool
