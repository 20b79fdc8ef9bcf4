"""An image as its facts tell it: built once however many want it, tried again after a while, built anew once it counts no more. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from json import dumps
from typing import Final

from trunkline.contracts.image import (
    Drop,
    ImageBuilt,
    ImageFailed,
    ImageInvalidated,
    ImageStatus,
    ImageView,
    ImageWanted,
    image_name,
)
from trunkline.contracts.message import Fact

LONGEST_PAUSE_S: Final = 3600.0
GRACE_S: Final = 120.0
"""For whoever takes a build over, and its last words."""


class Phase(StrEnum):
    BUILDING = "building"
    BUILT = "built"
    FAILED = "failed"
    DROPPED = "dropped"


_STATUSES: Final = {
    Phase.BUILDING: ImageStatus.BUILDING,
    Phase.BUILT: ImageStatus.READY,
    Phase.FAILED: ImageStatus.ERROR,
    Phase.DROPPED: ImageStatus.NONE,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Dockerfile as it is now."""

    text: str
    digest: str

    @classmethod
    def of(cls, text: str) -> Recipe:
        return cls(text, sha256(text.encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Image:
    """What we know of the image of one Dockerfile at one provider."""

    name: str
    changed_at: datetime
    phase: Phase = Phase.BUILDING
    failures: int = 0
    """In a row."""
    code: str = ""
    error: str = ""
    site: str = ""
    """Where it was built, if it is nowhere else for that."""


@dataclass(frozen=True, slots=True)
class Need:
    """Somebody wants a sandbox of it."""

    at: datetime
    provider: str
    digest: str


@dataclass(frozen=True, slots=True)
class Invalidate:
    why: Drop
    name: str = ""
    """Only if it is this one; empty: whichever it is."""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Built:
    name: str
    site: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    name: str
    code: str
    error: str


Cue = Need | Invalidate | Built | Failed


@dataclass(frozen=True, slots=True)
class DecideImage:
    """`pause_s`: after a failure; twice as long after each further one in a row, an hour at most. `build_s`: what a build may take."""

    pause_s: float = 60.0
    build_s: float = 1800.0

    def __call__(self, image: Image | None, cue: Cue) -> tuple[Fact, ...]:
        match cue:
            case Need():
                return self._needed(image, cue)
            case Invalidate(why=why, name=name, by=by):
                counts = image is not None and image.phase is not Phase.DROPPED and name in ("", image.name)
                return (ImageInvalidated(name=image.name, why=why, by=by),) if image and counts else ()
            case Built(name=name, site=site):
                return (ImageBuilt(name=name, site=site),) if builds(image, name) else ()
            case Failed(name=name, code=code, error=error):
                return (ImageFailed(name=name, code=code, error=error),) if builds(image, name) else ()

    def retry_at(self, image: Image) -> datetime | None:
        """From when on it may be built again after a failure; None for one that did not fail."""
        if image.phase is not Phase.FAILED:
            return None
        pause = min(LONGEST_PAUSE_S, self.pause_s * 2.0 ** min(image.failures - 1, 30))
        return image.changed_at + timedelta(seconds=pause)

    def _needed(self, image: Image | None, need: Need) -> tuple[Fact, ...]:
        if image is not None and (image.phase is Phase.BUILT or (image.phase is Phase.BUILDING and not self._given_up(image, need.at))):
            return ()
        if image is not None and (retry_at := self.retry_at(image)) and need.at < retry_at:
            return ()
        return (ImageWanted(name=_fresh(image, need.at), provider=need.provider, digest=need.digest),)

    def _given_up(self, image: Image, at: datetime) -> bool:
        """Whether nobody can be building it any more."""
        return (at - image.changed_at).total_seconds() > self.build_s + GRACE_S

    def view(self, tenant: str, image_id: str, provider: str, image: Image | None) -> ImageView:
        """For people."""
        if image is None:
            return ImageView(tenant=tenant, image_id=image_id, provider=provider, status=ImageStatus.NONE)
        return ImageView(
            tenant=tenant,
            image_id=image_id,
            provider=provider,
            status=_STATUSES[image.phase],
            name=image.name,
            changed_at=image.changed_at,
            retry_at=self.retry_at(image),
            code=image.code,
            error=image.error,
        )


def evolve(image: Image | None, fact: Fact, at: datetime) -> Image | None:
    """The image after one more fact; facts of other versions, and of builds that count no more, change nothing."""
    if isinstance(fact, ImageWanted):
        return Image(fact.name, at, failures=image.failures if image else 0)
    if image is None:
        return None
    match fact:
        case ImageBuilt(name=image.name, site=site):
            return Image(image.name, at, Phase.BUILT, site=site)
        case ImageFailed(name=image.name, code=code, error=error):
            return replace(image, changed_at=at, phase=Phase.FAILED, failures=image.failures + 1, code=code, error=error)
        case ImageInvalidated(name=image.name):
            return Image(image.name, at, Phase.DROPPED)
        case _:
            return image


def builds(image: Image | None, name: str) -> bool:
    """Whether the build of that name still counts."""
    return image is not None and image.phase is Phase.BUILDING and image.name == name


def stands(image: Image | None, name: str) -> bool:
    """Whether what was built under that name still counts."""
    return image is not None and image.phase is Phase.BUILT and image.name == name


def image_id(provider: str, digest: str) -> str:
    """Names the aggregate: the same Dockerfile at the same provider is one."""
    return "image-" + sha256(dumps([provider, digest]).encode()).hexdigest()[:32]


def _fresh(image: Image | None, at: datetime) -> str:
    """Never the name of the one before, however soon after it."""
    name = image_name(at)
    return f"{image.name}-2" if image is not None and name <= image.name else name
