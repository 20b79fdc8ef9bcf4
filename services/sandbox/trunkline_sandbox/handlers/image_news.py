"""What follows from the facts of images, for one replica each: what is wanted is built."""

from __future__ import annotations

from typing import Final

from trunkline.bus import PassOn, Stored
from trunkline.contracts import subjects
from trunkline.contracts.image import ImageWanted
from trunkline_sandbox.handlers.image_build import BuildImage
from trunkline_sandbox.handlers.named_hosts import Hosts

IMAGE_NEWS: Final = (ImageWanted,)


class ImageNews:
    """Everything here may happen twice. How a build ended is heard by every replica: `image_ends`."""

    def __init__(self, build: BuildImage, hosts: Hosts) -> None:
        self._build = build
        self._hosts = hosts

    async def on(self, stored: Stored) -> None:
        """Raises Unavailable; PassOn for a build at a provider of other services alone."""
        id = subjects.parse_event(stored.subject).task
        for fact in stored.record.facts:
            if isinstance(fact, ImageWanted):
                if await self._hosts.elsewhere(fact.provider):
                    raise PassOn
                await self._build.build(id, fact)
