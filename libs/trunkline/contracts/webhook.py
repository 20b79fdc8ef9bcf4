"""Webhooks: who wants to be told of what, what was sent to them, and what they answered. Owned by the relay."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from trunkline.contracts.ids import Token
from trunkline.contracts.message import EMPTY, Command, Message

SERVICE: Final = "relay"
MOST_EVENTS: Final = 50
LONGEST_URL: Final = 2048
LONGEST_ANSWER: Final = 64 << 10
"""Bytes of an answer's body that are read, and kept."""
LONGEST_PAGE: Final = 100
MOST_REDELIVERED: Final = 1000
"""Deliveries that one command sends again."""
MOST_OWN_REDELIVERED: Final = 100
"""For the owner of a webhook that hears of its own jobs: anybody may have some, and all share the relay."""
ROTATION_S: Final = 24 * 3600.0


class WebhookStatus(StrEnum):
    PENDING = "pending"
    """Its address has not shown yet that it wants to be told."""
    ACTIVE = "active"
    DISABLED = "disabled"


class DisabledBy(StrEnum):
    PERSON = "person"
    GONE = "gone"
    """It answered 410."""
    FAILING = "failing"
    """Nothing reached it for five days."""


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    """Not tried yet: to be tried now, or put off, and its `problem` says why."""
    RETRYING = "retrying"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up on; it may be sent again."""
    CANCELLED = "cancelled"
    """Its webhook was deleted."""


class RegisterWebhook(Command):
    """Tell this address. Repeating it with the same id changes nothing and answers the same, the secret included."""

    type: Literal["register_webhook"] = "register_webhook"
    hook_id: Token
    """Minted by the gateway, and not to be guessed."""
    url: str = Field(max_length=LONGEST_URL)
    events: tuple[str, ...]
    """Names and patterns: `job.completed`, `task.*`, `*`."""
    owner: str
    """The authenticated subject."""
    surface: str
    own_only: bool
    """It hears only of tasks that its owner submitted; else of all of the tenant."""
    secret: str = Field(default="", repr=False, max_length=256)
    """`whsec_` and base64 of 24 to 64 bytes, or any text of 16 characters and more; empty: the relay makes one."""
    verify: bool = True
    """Off: the address is believed without being asked. For admins only: the gateway says who is one."""
    description: str = Field(default="", max_length=500)


class ChangeWebhook(Command):
    """What is None stays. Another address has to be verified anew; enabling one that was disabled verifies it too."""

    type: Literal["change_webhook"] = "change_webhook"
    hook_id: Token
    owner: str | None = None
    """Finds it only when it hears of this subject's own jobs and of nothing else; None: any of the tenant. So in all about one webhook."""
    by: str = ""
    """The authenticated subject, for the record."""
    url: str | None = Field(default=None, max_length=LONGEST_URL)
    events: tuple[str, ...] | None = None
    enabled: bool | None = None
    description: str | None = Field(default=None, max_length=500)
    verify: bool = True


class RotateSecret(Command):
    """Sign with a new secret; the one before goes on signing beside it for a while. The same `rotation_id` again answers the same."""

    type: Literal["rotate_webhook"] = "rotate_webhook"
    hook_id: Token
    owner: str | None = None
    by: str = ""
    rotation_id: Token
    secret: str = Field(default="", repr=False, max_length=256)
    overlap_s: float = Field(default=ROTATION_S, ge=0, le=30 * 24 * 3600.0)


class VerifyWebhook(Command):
    """Ask the address again whether it wants to be told."""

    type: Literal["verify_webhook"] = "verify_webhook"
    hook_id: Token
    owner: str | None = None
    by: str = ""


class DeleteWebhook(Command):
    """One that is deleted already is refused as unknown."""

    type: Literal["delete_webhook"] = "delete_webhook"
    hook_id: Token
    owner: str | None = None
    by: str = ""


class GetWebhook(Command):
    type: Literal["get_webhook"] = "get_webhook"
    hook_id: Token
    owner: str | None = None


class ListWebhooks(Command):
    """The newest first."""

    type: Literal["list_webhooks"] = "list_webhooks"
    owner: str | None = None
    own_only: bool | None = None
    """Those that hear of their owner's jobs alone, or those of the whole tenant; None: both."""
    limit: int = 100
    offset: int = 0


class ListDeliveries(Command):
    """A page of what was sent, what changed last first."""

    type: Literal["list_deliveries"] = "list_deliveries"
    hook_id: Token
    owner: str | None = None
    statuses: tuple[DeliveryStatus, ...] = ()
    limit: int = 20
    after: str | None = None
    """`next` of the page before."""


class GetDelivery(Command):
    type: Literal["get_delivery"] = "get_delivery"
    hook_id: Token
    owner: str | None = None
    delivery_id: Token


class Redeliver(Command):
    """Send one again from the first try on, whatever became of it."""

    type: Literal["redeliver"] = "redeliver"
    hook_id: Token
    owner: str | None = None
    by: str = ""
    delivery_id: Token


class RedeliverMany(Command):
    """Send again what was made since then and stands so; the newest MOST_REDELIVERED, or MOST_OWN_REDELIVERED of an `owner`'s."""

    type: Literal["redeliver_many"] = "redeliver_many"
    hook_id: Token
    owner: str | None = None
    by: str = ""
    since: datetime | None = None
    statuses: tuple[DeliveryStatus, ...] = (DeliveryStatus.DEAD,)


AboutWebhook = (
    ChangeWebhook | RotateSecret | VerifyWebhook | DeleteWebhook | GetWebhook | ListDeliveries | GetDelivery | Redeliver | RedeliverMany
)
"""The commands about one webhook, which find it by the same fields."""


class WebhookView(Message):
    """A webhook as a reader sees it: without its secrets."""

    id: str
    tenant: str
    url: str
    events: tuple[str, ...]
    owner: str
    surface: str
    own_only: bool
    description: str = ""
    status: WebhookStatus
    disabled_by: DisabledBy | None = None
    problem: str = ""
    """Why it is not verified yet, or was disabled, as a sentence."""
    secrets: int = 1
    """How many sign at this moment."""
    hint: str = ""
    """The last four characters of the newest secret, to tell secrets apart; empty where nobody wrote them down."""
    signs_with_both_until: datetime | None = None
    """When the secret before the newest stops signing; None: it has, or there is none."""
    failing_since: datetime | None = None
    created_at: datetime
    updated_at: datetime
    verified_at: datetime | None = None


class WebhookMade(Message):
    """The body of the answer to RegisterWebhook and RotateSecret: the only ones that show a secret."""

    webhook: WebhookView
    secret: str = Field(repr=False)


class WebhookPage(Message):
    webhooks: tuple[WebhookView, ...]
    total: int


class Answered(Message):
    """What a subscriber said."""

    status: int
    headers: dict[str, str] = EMPTY
    body: str = ""
    """At most LONGEST_ANSWER bytes of it; what is no UTF-8 shows as U+FFFD."""
    cut: bool = False


class Try(Message):
    """One attempt to deliver."""

    at: datetime
    took_ms: int
    status: int | None = None
    """None: no answer came."""
    error: str = ""
    """Why it counts as failed, as a sentence; empty: it was delivered."""


class DeliveryView(Message):
    """One event on its way to one webhook. As it is read, and as it lies in the stream."""

    status: DeliveryStatus
    """Stands first: whoever reads the stream sees from the first bytes what there is to do."""
    put_off: int = 0
    """How often it was due and could not be tried, since it was tried last. Stands second for the same reason."""
    id: str
    """The `webhook-id` of every try."""
    hook_id: str
    tenant: str
    type: str
    """The name of the event, in the words that the webhook asked for."""
    event: str
    """Cursor of the fact; empty where there is none."""
    task_id: str = ""
    url: str = ""
    """Where the last try went."""
    headers: dict[str, str] = EMPTY
    """What was sent last, without the signature."""
    body: str
    answer: Answered | None = None
    tries: int = 0
    round: int = 0
    """How often it was sent again by hand."""
    history: tuple[Try, ...] = ()
    """The newest ten."""
    problem: str = ""
    """Why it waits where it was put off, or why it was given up on, as a sentence."""
    next_try_at: datetime | None = None
    """Where it was put off: at the latest, to be put off again or tried."""
    created_at: datetime
    begun_at: datetime
    """Of this round."""
    ended_at: datetime | None = None


class DeliveryPage(Message):
    """A page may hold less than was asked for and still have a `next`."""

    deliveries: tuple[DeliveryView, ...]
    next: str | None = None
    total: int | None = None
    """All of the webhook that are kept; None under a filter, for nobody counts by how they stand."""


class Redelivered(Message):
    """How many are sent again, and whether there were more than one command may."""

    count: int
    more: bool = False


class SealedSecret(Message):
    """One secret as it lies in the stream."""

    sealed: str
    until: datetime | None = None
    """None: until another takes its place."""
    hint: str = ""
    """Its last four characters."""


class Hook(Message):
    """A webhook as it lies in the stream, whole, in each of its records."""

    id: Token
    tenant: Token
    url: str
    events: tuple[str, ...]
    owner: str
    surface: str
    own_only: bool
    description: str = ""
    secrets: tuple[SealedSecret, ...] = ()
    """The newest first, two at most."""
    rotation_id: str = ""
    enabled: bool = True
    disabled_by: DisabledBy | None = None
    problem: str = ""
    verified_url: str = ""
    """The address that showed that it wants to be told; another one has not."""
    verified_at: datetime | None = None
    asked: int = 0
    """How often the address was asked in vain."""
    failing_since: datetime | None = None
    from_seq: int = 0
    """What lies in the log up to here is older than the webhook, and not told."""
    created_at: datetime
    updated_at: datetime
    deleted: bool = False


class HookFact(StrEnum):
    REGISTERED = "webhook.registered"
    VERIFIED = "webhook.verified"
    NOT_VERIFIED = "webhook.not_verified"
    CHANGED = "webhook.changed"
    ROTATED = "webhook.rotated"
    FAILING = "webhook.failing"
    RECOVERED = "webhook.recovered"
    DISABLED = "webhook.disabled"
    DELETED = "webhook.deleted"


class HookRecord(Message):
    """One thing that happened to a webhook, and how it stands after it."""

    fact: HookFact
    at: datetime
    by: str = ""
    hook: Hook


class DeliverLater(Message):
    """A timer for one delivery; it does nothing when the delivery has moved on."""

    tenant: Token
    hook_id: Token
    delivery_id: Token
    round: int
    tries: int
    put_off: int = 0
    """How often it was put off without a try, as its host was busy or down."""


class VerifyLater(Message):
    """A timer to ask an address whether it wants to be told; it does nothing when it has said so, or is another one."""

    tenant: Token
    hook_id: Token
    url: str
    asked: int
