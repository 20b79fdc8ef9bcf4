"""What an omni client reads about snapshots; the document has the first, the others are ours."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Invalidated(BaseModel):
    """The next create builds again."""

    ok: Literal[True] = True


class SnapshotStanding(BaseModel):
    """The snapshot that sandboxes begin with. Times in milliseconds since 1970."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["none", "building", "ready", "error"]
    """`none`: none was built yet, or no Dockerfile is configured."""
    name: str
    provider: str
    changedAt: int | None
    retryAt: int | None
    """From when on the next create builds it again."""
    code: str
    error: str
