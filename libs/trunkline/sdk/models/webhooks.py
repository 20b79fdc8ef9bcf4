"""Webhooks and what was sent to them, as the gateway answers."""

from __future__ import annotations

from datetime import datetime

from trunkline.sdk.models import JobShape, Shape


class Webhook(Shape):
    """A webhook of the tenant. `status` is pending until its address answered the handshake, then active, or disabled."""

    webhook_id: str
    url: str
    events: tuple[str, ...]
    status: str
    disabled_by: str | None = None
    problem: str | None = None
    owner: str = ""
    own_only: bool = False
    description: str = ""
    secrets: int = 1
    secret_hint: str | None = None
    signs_with_both_until: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    verified_at: datetime | None = None
    failing_since: datetime | None = None


class WebhookAnswer(Shape):
    webhook: Webhook


class WebhookMade(Shape):
    """The one answer that has the secret."""

    webhook_id: str
    webhook: Webhook
    secret: str

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        return [("webhook_id", self.webhook_id), ("webhook", self.webhook)]


class WebhookList(Shape):
    webhooks: tuple[Webhook, ...]
    total: int
    next_cursor: str | None = None


class Sent(Shape):
    """What was sent last, without its signature; in a list a long body is `cut`."""

    url: str = ""
    headers: dict[str, str] = {}
    body: str = ""
    cut: bool = False


class Answered(Shape):
    """What came back."""

    status: int
    headers: dict[str, str] = {}
    body: str = ""
    cut: bool = False


class Attempt(Shape):
    """`status` is what was answered; `error` why it counts as failed."""

    at: datetime
    took_ms: int = 0
    status: int | None = None
    error: str | None = None


class Delivery(Shape):
    """One event on its way to a webhook. `status` is pending, retrying, delivered, dead or cancelled."""

    delivery_id: str
    webhook_id: str
    event: str
    status: str
    event_id: str | None = None
    task_id: str | None = None
    tries: int = 0
    redelivered: int = 0
    last_answer: str | None = None
    problem: str | None = None
    request: Sent | None = None
    answer: Answered | None = None
    attempts: tuple[Attempt, ...] = ()
    created_at: datetime | None = None
    next_try_at: datetime | None = None
    ended_at: datetime | None = None


class DeliveryAnswer(Shape):
    delivery: Delivery


class DeliveryList(Shape):
    deliveries: tuple[Delivery, ...]
    total: int | None = None
    next_cursor: str | None = None


class RedeliveredMany(Shape):
    """How many are on their way again; `more`: there are others, ask again."""

    count: int
    more: bool = False


class JobWebhook(JobShape):
    """A webhook that hears of its owner's own jobs. `disabled_by` is person, gone or failing."""

    id: str
    url: str
    events: tuple[str, ...]
    status: str
    problem: str | None = None
    disabled_by: str | None = None
    secret_hint: str | None = None
    signs_with_both_until: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    verified_at: datetime | None = None
    failing_since: datetime | None = None


class JobWebhookMade(JobWebhook):
    """The one answer that has the secret."""

    secret: str

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        return [("id", self.id), ("url", self.url), ("events", self.events), ("status", self.status)]


class JobWebhookList(JobShape):
    webhooks: tuple[JobWebhook, ...]
    total: int


class JobAttempt(JobShape):
    """`status` is what was answered; `error` why it counts as failed."""

    at: datetime
    took_ms: int = 0
    status: int | None = None
    error: str | None = None


class JobDelivery(JobShape):
    """One event on its way to a webhook of one's own. `status` is pending, retrying, delivered, dead or cancelled."""

    id: str
    webhook_id: str
    event: str
    status: str
    event_id: str | None = None
    job_id: str | None = None
    tries: int = 0
    redelivered: int = 0
    last_answer: str | None = None
    problem: str | None = None
    request: Sent | None = None
    answer: Answered | None = None
    attempts: tuple[JobAttempt, ...] = ()
    created_at: datetime | None = None
    next_try_at: datetime | None = None
    ended_at: datetime | None = None


class JobDeliveryList(JobShape):
    deliveries: tuple[JobDelivery, ...]
    total: int | None = None
    next_cursor: str | None = None
