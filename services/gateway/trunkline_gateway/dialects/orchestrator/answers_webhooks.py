"""What this surface answers of webhooks, as models."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel

from trunkline_gateway.dialects.orchestrator.answers import CLOSED


class Webhook(BaseModel):
    """It is `pending` until its address answered the handshake, and hears of nothing until then; `problem` says why that is so still.

    `own_only`: it hears of what its owner submitted; else of everything in the tenant. `secrets` is how many sign at this moment.
    """

    model_config = CLOSED

    webhook_id: str
    url: str
    events: list[str]
    status: Literal["pending", "active", "disabled"]
    disabled_by: Literal["person", "gone", "failing"] | None
    """Who disabled it: a person, its receiver by 410, or five days without an answer."""
    problem: str | None
    owner: str
    own_only: bool
    description: str
    secrets: int
    secret_hint: str | None
    """The last four characters of the newest secret, to tell secrets apart."""
    signs_with_both_until: AwareDatetime | None
    """After a rotation: when the secret before stops signing."""
    created_at: AwareDatetime
    updated_at: AwareDatetime
    verified_at: AwareDatetime | None
    failing_since: AwareDatetime | None


class WebhookMade(BaseModel):
    """The one answer that shows the `secret`."""

    model_config = CLOSED

    success: Literal[True]
    message: str
    webhook_id: str
    webhook: Webhook
    secret: str


class WebhookRead(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    webhook: Webhook


class WebhookChanged(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    message: str
    webhook: Webhook


class WebhookList(BaseModel):
    """The newest first."""

    model_config = CLOSED

    success: Literal[True]
    count: int
    total: int
    webhooks: list[Webhook]
    next_cursor: str | None


class WebhookRemoved(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    message: str
    webhook_id: str


class Sent(BaseModel):
    """What was sent last, without its signature. In a list a long body is `cut`."""

    model_config = CLOSED

    url: str
    headers: dict[str, str]
    body: str
    cut: bool


class Answered(BaseModel):
    """What came back, 64 KiB of it at most. In a list a long body is `cut`."""

    model_config = CLOSED

    status: int
    headers: dict[str, str]
    body: str
    cut: bool


class Try(BaseModel):
    """`status` is what was answered; `error` why it counts as failed."""

    model_config = CLOSED

    at: AwareDatetime
    took_ms: int
    status: int | None
    error: str | None


class Delivery(BaseModel):
    """One event on its way to a webhook. `dead` ones are not tried again by themselves.

    `problem` says why one was given up on, or why it waits though it is due.
    """

    model_config = CLOSED

    delivery_id: str
    """What the receiver reads in `webhook-id`, the same at each try."""
    webhook_id: str
    event: str
    event_id: str | None
    """Its place on the timeline of the task."""
    task_id: str | None
    status: Literal["pending", "retrying", "delivered", "dead", "cancelled"]
    tries: int
    redelivered: int
    """How often it was sent again by hand."""
    last_answer: str | None
    """The status of the last answer, or why there was none."""
    problem: str | None
    request: Sent
    answer: Answered | None
    attempts: list[Try]
    """The newest ten."""
    created_at: AwareDatetime
    next_try_at: AwareDatetime | None
    ended_at: AwareDatetime | None


class DeliveryRead(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    delivery: Delivery


class DeliveryList(BaseModel):
    """What changed last first. A page may hold less than was asked for; the last one has no `next_cursor`.

    `total` is how many of the webhook are kept; null where a `status` is asked for.
    """

    model_config = CLOSED

    success: Literal[True]
    count: int
    total: int | None
    deliveries: list[Delivery]
    next_cursor: str | None


class RedeliveredOne(BaseModel):
    model_config = CLOSED

    success: Literal[True]
    message: str
    delivery: Delivery


class RedeliveredMany(BaseModel):
    """How many are on their way again; `more`: there are others, ask again."""

    model_config = CLOSED

    success: Literal[True]
    message: str
    webhook_id: str
    count: int
    more: bool
