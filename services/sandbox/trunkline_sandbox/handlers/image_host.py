"""What a provider must be able to do to build images from a Dockerfile; every call may be repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from trunkline.contracts.errors import NotFound, Unavailable
from trunkline_sandbox.model.dockerfile import LONGEST
from trunkline_sandbox.model.image import Recipe

IMAGE: Final = "image"
"""The label of a sandbox that says which image it begins with."""
IMAGE_GONE: Final = "IMAGE_GONE"
"""The code of what a provider refuses because it has the image no more, whatever it said before."""
BUILD: Final = "image_build"
"""The label of a sandbox in which an image is built; it is nobody's, and goes with the build."""


def gone(image: str, said: str = "") -> Unavailable:
    """The provider has the image no more; `said` is its own word on that."""
    return Unavailable(
        f"the snapshot {image} is not there any more; another one is built" + (f" ({said})" if said else ""), code=IMAGE_GONE
    )


@runtime_checkable
class ImageHost(Protocol):
    """Where images are built and kept."""

    @property
    def name(self) -> str: ...

    @property
    def site(self) -> str:
        """Where what it builds is kept, if it is nowhere else for that; empty: wherever its provider is reached from."""
        ...

    def check(self, recipe: Recipe) -> None:
        """Raises Invalid, Unsupported with the line that cannot be done here."""
        ...

    def build(self, recipe: Recipe, name: str) -> AsyncIterator[str]:
        """Every line of the log, the same again when it is repeated; when it ends, the image is there. Raises with the line that failed.

        Left before its end, it goes on from where it stood when it is called again.
        """
        ...

    async def has(self, name: str) -> bool: ...

    async def discard(self, name: str) -> None:
        """Whatever was built of it so far."""
        ...


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """Where the Dockerfile lies, if there is one."""

    path: Path | None = None

    def read(self) -> Recipe | None:
        """None where none is configured. Raises NotFound."""
        if self.path is None:
            return None
        try:
            with self.path.open("rb") as file:
                return Recipe.of(file.read(LONGEST + 1).decode("utf-8", "replace"))
        except OSError as error:
            told = f"the Dockerfile {self.path.name} cannot be read: {error.strerror}; set `sandbox_dockerfile` to one that can"
            raise NotFound(told, code="DOCKERFILE_NOT_FOUND") from error


Strike = Callable[[str], str]
"""Takes secrets out of a text."""
