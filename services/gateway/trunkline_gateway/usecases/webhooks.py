"""What can be asked about webhooks: who is told of what, what was sent to them, and to send it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self

from trunkline.auth.principal import Principal
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId
from trunkline.contracts.message import Command
from trunkline.contracts.webhook import (
    LONGEST_PAGE,
    SERVICE,
    ChangeWebhook,
    DeleteWebhook,
    DeliveryPage,
    DeliveryStatus,
    DeliveryView,
    GetDelivery,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    Redelivered,
    RedeliverMany,
    RegisterWebhook,
    RotateSecret,
    VerifyWebhook,
    WebhookMade,
    WebhookPage,
    WebhookView,
)
from trunkline_gateway.ports import Commands
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.tasks import Tasks

NO_ID: Final = "-"
PREFIX: Final = "wh_"


@dataclass(frozen=True, slots=True)
class WebhookWish:
    """A webhook as asked for. No secret: one is made."""

    url: str
    events: tuple[str, ...]
    surface: str
    secret: str = field(default="", repr=False)
    own_only: bool = False
    """It hears of what its owner submitted, and of nothing else."""
    verify: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True)
class WebhookChange:
    """What is None stays."""

    url: str | None = None
    events: tuple[str, ...] | None = None
    enabled: bool | None = None
    description: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Every verb about one webhook raises NotFound for one that the tenant does not have; each may raise Unavailable."""

    commands: Commands
    tasks: Tasks
    now: Callable[[], datetime]
    own_alone: bool = False
    """All others are as missing: the caller's own that hear of its own jobs are all that there are."""

    def for_owners(self) -> Self:
        """The same, of each caller's own alone: all that the open surface knows of."""
        return replace(self, own_alone=True)

    async def register(self, principal: Principal, wish: WebhookWish, *, id: str) -> WebhookMade:
        """The same `id` again makes no second one. Raises Invalid, Conflict where there are too many, Unsupported without a vault."""
        command = RegisterWebhook(
            **self._of(principal),
            hook_id=f"{PREFIX}{id}",
            url=wish.url,
            events=wish.events,
            owner=principal.subject,
            surface=wish.surface,
            own_only=wish.own_only,
            secret=wish.secret,
            verify=wish.verify,
            description=struck.text(wish.description),
        )
        return WebhookMade.model_validate(await self._told(command.hook_id, command))

    async def all(self, principal: Principal, query: ListWebhooks) -> WebhookPage:
        """A page of those of the tenant. Raises Invalid."""
        return WebhookPage.model_validate(await self._told(NO_ID, query.model_copy(update=self._of(principal))))

    async def own(self, principal: Principal) -> tuple[WebhookView, ...]:
        """All that hear of the caller's own jobs; there are fewer than a page holds."""
        query = ListWebhooks(**self._of(principal), owner=principal.subject, own_only=True, limit=LONGEST_PAGE)
        return (await self.all(principal, query)).webhooks

    async def one(self, principal: Principal, hook: str) -> WebhookView:
        return WebhookView.model_validate(await self._told(hook, GetWebhook(**self._about(principal, hook))))

    async def change(self, principal: Principal, hook: str, wish: WebhookChange) -> WebhookView:
        """Raises Invalid."""
        command = ChangeWebhook(
            **self._by(principal, hook),
            url=wish.url,
            events=wish.events,
            enabled=wish.enabled,
            description=None if wish.description is None else struck.text(wish.description),
            verify=wish.verify,
        )
        return WebhookView.model_validate(await self._told(hook, command))

    async def remove(self, principal: Principal, hook: str) -> None:
        await self._told(hook, DeleteWebhook(**self._by(principal, hook)))

    async def rotate(self, principal: Principal, hook: str, secret: str, *, id: str) -> WebhookMade:
        """The one before goes on signing beside it for a day. The same `id` again rotates nothing. Raises Invalid, Unsupported."""
        command = RotateSecret(**self._by(principal, hook), rotation_id=id, secret=secret)
        return WebhookMade.model_validate(await self._told(hook, command))

    async def verify(self, principal: Principal, hook: str) -> WebhookView:
        """Its address is asked at once whether it wants to be told. Raises Conflict for one that is disabled."""
        return WebhookView.model_validate(await self._told(hook, VerifyWebhook(**self._by(principal, hook))))

    async def deliveries(self, principal: Principal, query: ListDeliveries) -> DeliveryPage:
        """What changed last first; a page may hold less than was asked for and not be the last. Raises Invalid.

        What was told of tasks that the caller may not see is counted, and left out.
        """
        asked = query.model_copy(update=self._about(principal, query.hook_id))
        page = DeliveryPage.model_validate(await self._told(query.hook_id, asked))
        shown = [delivery for delivery in page.deliveries if await self._sees(principal, delivery)]
        return page.model_copy(update={"deliveries": tuple(shown)})

    async def delivery(self, principal: Principal, hook: str, delivery: str) -> DeliveryView:
        command = GetDelivery(**self._about(principal, hook), delivery_id=delivery)
        view = DeliveryView.model_validate(await self._told(hook, command))
        if not await self._sees(principal, view):
            raise NotFound("there is no such delivery", code="DELIVERY_NOT_FOUND")
        return view

    async def redeliver(self, principal: Principal, hook: str, delivery: str) -> DeliveryView:
        """Raises Conflict while the webhook hears nothing. What the caller may not see is not sent again either."""
        await self.delivery(principal, hook, delivery)
        command = Redeliver(**self._by(principal, hook), delivery_id=delivery)
        return DeliveryView.model_validate(await self._told(hook, command))

    async def redeliver_many(self, principal: Principal, hook: str, status: DeliveryStatus, since: datetime | None) -> Redelivered:
        """Raises Conflict while the webhook hears nothing."""
        command = RedeliverMany(**self._by(principal, hook), statuses=(status,), since=since)
        return Redelivered.model_validate(await self._told(hook, command))

    async def _sees(self, principal: Principal, delivery: DeliveryView) -> bool:
        return not (delivery.task_id and await self.tasks.is_hidden(principal, TaskId(delivery.task_id)))

    def _of(self, principal: Principal) -> dict[str, Any]:
        return {"tenant": principal.tenant, "at": self.now()}

    def _about(self, principal: Principal, hook: str) -> dict[str, Any]:
        return self._of(principal) | {"hook_id": hook, "owner": principal.subject if self.own_alone else None}

    def _by(self, principal: Principal, hook: str) -> dict[str, Any]:
        return self._about(principal, hook) | {"by": principal.subject}

    async def _told(self, id: str, command: Command) -> Any:
        return (await self.commands.send(SERVICE, id, command)).body
