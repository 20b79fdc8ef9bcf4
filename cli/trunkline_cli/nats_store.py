"""The store of the embedded nats-server as it lies on disk: what a killed one left half made must not stay so.

A stream or a consumer is there by two files, `meta.inf` and then `meta.sum`. Killed between the two, nats-server passes over it at every
start; and whoever makes it anew gets one that is gone with the next start, for where the first file lies it writes neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MADE: Final = ("jetstream/*/streams/*/meta.inf", "jetstream/*/streams/*/obs/*/meta.inf")


def finish(store: Path) -> int:
    """Let what is half made be made anew, with the messages that it has; how much there was. Nobody may run on it. Raises OSError."""
    half = list(_half_made(store))
    for meta in half:
        meta.unlink(missing_ok=True)
    return len(half)


def holds_anything(store: Path) -> bool:
    return any(not path.is_dir() for path in store.rglob("*"))


def _half_made(store: Path) -> Iterator[Path]:
    for pattern in _MADE:
        for meta in store.glob(pattern):
            known = meta.with_name("meta.sum")
            if not known.exists() or not known.stat().st_size:
                yield meta
