"""The scripts and styles of the two pages, each at a path that changes when it does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final

ROOT: Final = "/docs/assets"
TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
VENDORED: Final = ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js")
OURS: Final = ("start-swagger-ui.js", "start-redoc.js")


@dataclass(frozen=True, slots=True)
class Asset:
    name: str
    type: str
    content: bytes
    digest: str
    """The first half of the SHA-256 of the content."""

    @property
    def path(self) -> str:
        return f"{ROOT}/{self.digest}/{self.name}"


def loaded() -> dict[str, Asset]:
    """All of them by name, some 3 MB."""
    here = files(__package__)
    places = [(here / "assets" / name) for name in VENDORED] + [here / name for name in OURS]
    return {asset.name: asset for asset in _read((place.name, place.read_bytes()) for place in places)}


def _read(found: Iterable[tuple[str, bytes]]) -> Iterable[Asset]:
    for name, content in found:
        digest = hashlib.sha256(content).hexdigest()[:32]
        yield Asset(name, TYPES[PurePosixPath(name).suffix], content, digest)
