"""What follows from the facts of images, for one replica each: what is wanted is built."""

from __future__ import annotations

from typing import Final

from trunkline.bus import Stored
from trunkline.contracts import subjects
from trunkline.contracts.image import ImageWanted
from trunkline_sandbox.handlers.image_build import BuildImage

IMAGE_NEWS: Final = (ImageWanted,)


class ImageNews:
    """Everything here may happen twice. How a build ended is heard by every replica: `image_ends`."""

    def __init__(self, build: BuildImage) -> None:
        self._build = build

    async def on(self, stored: Stored) -> None:
        """Raises Unavailable."""
        id = subjects.parse_event(stored.subject).task
        for fact in stored.record.facts:
            if isinstance(fact, ImageWanted):
                await self._build.build(id, fact)
