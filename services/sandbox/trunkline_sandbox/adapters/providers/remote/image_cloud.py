"""What a cloud must be able to do to build images: the port between our part of it and somebody's SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from trunkline_sandbox.adapters.providers.remote.vendor import Vendor
from trunkline_sandbox.model.cloud_steps import Builder

State = Literal["building", "ready", "asleep", "failed"]


@dataclass(frozen=True, slots=True)
class Build:
    """An image as its cloud tells of it."""

    id: str
    name: str
    """As it is called there."""
    state: State
    """`asleep`: built, and put away by the cloud because nobody used it for long."""
    why: str = ""
    """What the cloud says when it failed."""
    begun: bool = True
    """Whether the cloud was told all that it needs to build it."""
    handle: object = field(default=None, repr=False, compare=False)


class ImageCloud(Protocol):
    """One account. Every call ends by a deadline, and raises the errors of `vendor`; each may be repeated."""

    @property
    def vendor(self) -> Vendor: ...

    @property
    def builder(self) -> Builder: ...

    async def begin(self, name: str, dockerfile: Path) -> None:
        """Have an image of that name built from the file and what it copies from beside it. Returns once it is there, built or not."""
        ...

    async def find(self, name: str) -> Build | None: ...

    async def said(self, build: Build, known: int) -> Sequence[str]:
        """The whole lines of its log behind the first `known`."""
        ...

    async def wake(self, build: Build) -> None:
        """Make one that is asleep ready; it may take some time after this returned."""
        ...

    async def images(self) -> list[Build]:
        """Those of our fleet."""
        ...

    async def drop(self, build: Build) -> None:
        """One that is gone is dropped."""
        ...


def called(fleet: str, image: str) -> str:
    """What our image is called in an account: it sorts by the time, and tells fleets that share the account apart."""
    return f"{prefix(fleet)}{image.removeprefix('omni-snapshot-')}".lower()


def prefix(fleet: str) -> str:
    return f"{fleet}-omni-snapshot-".lower()
