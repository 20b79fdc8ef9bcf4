"""Noticing that the embedded nats-server met a full disk: it stores nothing more, also with room again, until it is started anew."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final

LOOK_EVERY: Final = 1.0
"""Seconds between two looks into the server's log."""
ROOM: Final = 16 << 20
"""Bytes that must be free before a new start makes sense."""
COMPLAINT: Final = b"no space left on device"
MOST: Final = 1 << 20


async def until_room_after_full(log: Path) -> None:
    """Return once the server has complained of a full disk and there is room again."""
    place = _size(log)
    full = False
    while not (full and shutil.disk_usage(log.parent).free >= ROOM):
        await asyncio.sleep(LOOK_EVERY)
        said, place = await asyncio.to_thread(_since, log, place)
        full = full or COMPLAINT in said


def _since(log: Path, place: int) -> tuple[bytes, int]:
    """What was written since `place`, and where it ends now; of very much only the last, and all of a log begun anew."""
    size = _size(log)
    start = max(place if place <= size else 0, size - MOST)
    try:
        with log.open("rb") as file:
            file.seek(start)
            return file.read(size - start), size
    except OSError:
        return b"", place


def _size(log: Path) -> int:
    try:
        return os.stat(log).st_size
    except OSError:
        return 0
