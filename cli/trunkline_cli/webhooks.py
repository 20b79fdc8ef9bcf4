"""Webhooks as the command line asks for them and shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from trunkline.contracts.errors import NotFound
from trunkline_cli.door import Door, Wish
from trunkline_cli.orchestrator import Object, pages
from trunkline_cli.paging import EVERY
from trunkline_cli.plain import Plain, one_line
from trunkline_cli.shapes import Page
from trunkline_cli.tables import Cell, Column, Room, Row, span

ROOT: Final = "/webhooks"
STYLES: Final = {
    "active": "green", "pending": "yellow", "disabled": "bold red",
    "delivered": "green", "retrying": "yellow", "dead": "bold red", "cancelled": "dim",
}  # fmt: skip
WEBHOOKS: Final = (
    Column("webhook"), Column("status"), Column("url", Room.BELOW), Column("events", Room.WIDE), Column("of", Room.WIDE), Column("age"),
    Column("problem", Room.BELOW),
)  # fmt: skip
DELIVERIES: Final = (
    Column("delivery"), Column("status"), Column("event", Room.BELOW), Column("tries"), Column("answer", Room.BELOW), Column("age"),
    Column("task", Room.WIDE), Column("problem", Room.BELOW),
)  # fmt: skip
_WEBHOOK: Final = re.compile(r"wh_[0-9a-f]{32}")
_DELIVERY: Final = re.compile(r"dlv_[0-9a-f]{40}")


class WebhookShown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    webhook_id: Plain
    status: Plain = ""
    url: Plain = ""
    events: tuple[Plain, ...] = ()
    own_only: bool = False
    owner: Plain = ""
    problem: Plain | None = None
    created_at: datetime


class WebhookList(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    webhooks: tuple[WebhookShown, ...] = ()


class DeliveryShown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    delivery_id: Plain
    status: Plain = ""
    event: Plain = ""
    task_id: Plain | None = None
    tries: int = 0
    last_answer: Plain | None = None
    problem: Plain | None = None
    created_at: datetime


class DeliveryPage(Page):
    deliveries: tuple[DeliveryShown, ...] = ()


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Answers are JSON objects as they came. Every call raises Unavailable, or the refusal that the gateway spoke."""

    door: Door

    async def all(self) -> Object:
        return await pages(self.door, (ROOT, "webhooks"), {}, EVERY)

    async def add(self, body: Object) -> Object:
        """The one answer that shows its secret. Raises Invalid, Conflict where there are too many."""
        return await self._ask("POST", ROOT, body)

    async def one(self, webhook: str) -> Object:
        """Raises NotFound."""
        return await self._ask("GET", _at(webhook))

    async def change(self, webhook: str, body: Object) -> Object:
        """Raises NotFound, Invalid."""
        return await self._ask("PATCH", _at(webhook), body)

    async def remove(self, webhook: str) -> Object:
        """Raises NotFound."""
        return await self._ask("DELETE", _at(webhook))

    async def rotate(self, webhook: str, body: Object) -> Object:
        """The one answer that shows the new secret. Raises NotFound, Invalid."""
        return await self._ask("POST", f"{_at(webhook)}/rotate", body)

    async def verify(self, webhook: str) -> Object:
        """Asks its receiver for the handshake again. Raises NotFound."""
        return await self._ask("POST", f"{_at(webhook)}/verify", {})

    async def deliveries(self, webhook: str, query: Mapping[str, str], most: int) -> Object:
        """The newest first, at most so many. Raises NotFound."""
        return await pages(self.door, (f"{_at(webhook)}/deliveries", "deliveries"), query, most)

    async def delivery(self, webhook: str, delivery: str) -> Object:
        """Raises NotFound."""
        return await self._ask("GET", f"{_at(webhook)}/deliveries/{_named(delivery)}")

    async def redeliver(self, webhook: str, delivery: str) -> Object:
        """One again. Raises NotFound, Conflict while it is still under way."""
        return await self._ask("POST", f"{_at(webhook)}/deliveries/{_named(delivery)}/redeliver", {})

    async def redeliver_many(self, webhook: str, body: Object) -> Object:
        """Raises NotFound, Invalid."""
        return await self._ask("POST", f"{_at(webhook)}/redeliver", body)

    async def _ask(self, method: str, path: str, body: Object | None = None) -> Object:
        """Every POST with a key, so that a gateway that was asked twice does it once."""
        headers = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        answer = await self.door.ask(Wish(method, path, body, headers=headers))
        return answer if isinstance(answer, dict) else {}


def webhook_row(webhook: WebhookShown, now: datetime) -> Row:
    """Pure."""
    return (
        Cell(webhook.webhook_id),
        Cell(webhook.status, style=STYLES.get(webhook.status, "")),
        Cell(one_line(webhook.url)),
        Cell(" ".join(one_line(event) for event in webhook.events)),
        Cell(one_line(webhook.owner), "" if webhook.own_only else "everybody"),
        Cell(span((now - webhook.created_at).total_seconds())),
        Cell(one_line(webhook.problem or "")),
    )


def delivery_row(delivery: DeliveryShown, now: datetime) -> Row:
    """Pure."""
    return (
        Cell(delivery.delivery_id),
        Cell(delivery.status, style=STYLES.get(delivery.status, "")),
        Cell(one_line(delivery.event)),
        Cell(str(delivery.tries)),
        Cell(one_line(delivery.last_answer or "")),
        Cell(span((now - delivery.created_at).total_seconds())),
        Cell(one_line(delivery.task_id or "")),
        Cell(one_line(delivery.problem or "")),
    )


def _at(webhook: str) -> str:
    """Raises NotFound for what cannot be one: no gateway has to be asked."""
    if not _WEBHOOK.fullmatch(webhook):
        raise NotFound(f"There is no webhook {webhook!r}: `trunkline webhooks` lists those that there are.")
    return f"{ROOT}/{webhook}"


def _named(delivery: str) -> str:
    """Raises NotFound for what cannot be one."""
    if not _DELIVERY.fullmatch(delivery):
        raise NotFound(f"There is no delivery {delivery!r}: `trunkline webhooks deliveries ID` lists those that there are.")
    return delivery
