"""What named sandboxes begin with: built again when somebody says so, and the log of the build for whoever listens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.image import (
    GetImage,
    ImageBuilt,
    ImageFailed,
    ImageInvalidated,
    ImageSaid,
    ImageView,
    ImageWanted,
    InvalidateImages,
)
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.sandbox import SERVICE
from trunkline_gateway.ports import Commands, Feed, Timeline

ALL: Final = "-"
ENDS: Final = (ImageBuilt, ImageFailed, ImageInvalidated)
Told = ImageWanted | ImageSaid | ImageBuilt | ImageFailed | ImageInvalidated


@dataclass(frozen=True, slots=True)
class Snapshots:
    commands: Commands
    feed: Feed
    now: Callable[[], datetime]

    async def invalidate(self, principal: Principal) -> None:
        """The next create builds again. Raises Unavailable."""
        command = InvalidateImages(tenant=principal.tenant, at=self.now(), by=principal.subject)
        await self.commands.send(SERVICE, ALL, command)

    async def standing(self, principal: Principal) -> ImageView:
        """Raises Unavailable."""
        command = GetImage(tenant=principal.tenant, at=self.now())
        return ImageView.model_validate((await self.commands.send(SERVICE, ALL, command)).body)

    async def following(self, principal: Principal, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        """What the newest build says, from the beginning or beyond `after`, up to its end. Raises NotFound when there was none."""
        view = await self.standing(principal)
        if not view.name:
            raise NotFound("no snapshot was built yet: create a sandbox first", code="NOT_FOUND")
        return self._told(view, after)

    async def _told(self, view: ImageView, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        timeline = Timeline(TenantId(view.tenant), TaskId(view.image_id))
        async for event in self.feed.follow(timeline, after):
            if isinstance(event, Gap):
                yield event
            elif isinstance(event.fact, Told) and event.fact.name == view.name:
                yield event
                if isinstance(event.fact, ENDS):
                    return
