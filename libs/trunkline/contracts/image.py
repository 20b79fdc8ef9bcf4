"""Images: what named sandboxes begin with, built from a Dockerfile. The omni surface calls them snapshots; here those are of runs."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from trunkline.contracts.ids import Token
from trunkline.contracts.message import Command, Fact, Message

LONGEST_LINE: Final = 2000
"""Letters of one line of a build's log."""
Text = Annotated[str, Field(max_length=8000)]


class ImageStatus(StrEnum):
    NONE = "none"
    """Nothing was built yet, or nothing is to be."""
    BUILDING = "building"
    READY = "ready"
    ERROR = "error"


class Drop(StrEnum):
    """Why an image counts no more."""

    ASKED = "asked"
    LOST = "lost"
    """Its provider has it no more."""
    CHANGED = "changed"
    """The Dockerfile became another one before it was built."""


class InvalidateImages(Command):
    """The next sandbox is made of an image that is built again. Where nothing was built, nothing is to be done."""

    type: Literal["invalidate_images"] = "invalidate_images"
    by: str
    """The authenticated subject."""


class GetImage(Command):
    """How the image of the usual provider stands."""

    type: Literal["get_image"] = "get_image"


class ImageView(Message):
    """An image for people and programs."""

    tenant: Token
    image_id: str = ""
    """Whose timeline holds the log; empty where no Dockerfile is configured."""
    provider: str
    status: ImageStatus
    name: str = ""
    changed_at: datetime | None = None
    retry_at: datetime | None = None
    """In error: from when on the next sandbox builds it again."""
    code: str = ""
    error: str = ""


class ImageWanted(Fact):
    """It is to be built, by whoever reads this."""

    type: Literal["image.wanted"] = "image.wanted"
    name: Token
    provider: str
    digest: str
    """SHA-256 (hex) of the Dockerfile."""


class ImageSaid(Fact):
    """Some lines of the log of a build."""

    type: Literal["image.said"] = "image.said"
    name: Token
    lines: tuple[str, ...]


class ImageBuilt(Fact):
    type: Literal["image.built"] = "image.built"
    name: Token
    site: str = ""
    """Where it is, if other sites build it anew when they need it; empty: wherever its provider is reached from."""


class ImageFailed(Fact):
    """It could not be built; some time later it is tried again."""

    type: Literal["image.failed"] = "image.failed"
    name: Token
    code: str
    error: Text


class ImageInvalidated(Fact):
    """Whoever needs one next builds another."""

    type: Literal["image.invalidated"] = "image.invalidated"
    name: Token
    why: Drop
    by: str = ""


def image_name(at: datetime) -> str:
    """`omni-snapshot-2025-08-18T18-16-29-074Z`: names sort as they were built."""
    return "omni-snapshot-" + re.sub("[:.]", "-", at.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
