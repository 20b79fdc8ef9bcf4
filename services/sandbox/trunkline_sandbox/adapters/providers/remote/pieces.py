"""Files on their way to a cloud and back, a piece at a time and beside the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from trunkline.contracts.errors import Exhausted

_PIECE: Final = 1 << 18


async def read(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


async def keep(pieces: AsyncIterator[bytes], target: Path, most: int) -> None:
    """Raises Exhausted WORKSPACE_TOO_LARGE when they are more than `most` bytes."""
    size = 0
    with await asyncio.to_thread(target.open, "wb") as file:
        async for piece in pieces:
            size += len(piece)
            if size > most:
                raise Exhausted("The workspace is larger than was agreed.", code="WORKSPACE_TOO_LARGE")
            await asyncio.to_thread(file.write, piece)
