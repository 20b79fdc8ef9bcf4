"""Keeps encoded events, so that an event is encoded once per dialect and not once per reader."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.record import Event


@dataclass(slots=True)
class Frames:
    """The most recently used frames, at most `size` bytes of them."""

    encode: Callable[[Event], bytes]
    size: int = 8 << 20
    _kept: OrderedDict[Cursor, bytes] = field(default_factory=OrderedDict)
    _held: int = 0

    def of(self, event: Event) -> bytes:
        frame = self._kept.get(event.cursor)
        if frame is not None:
            self._kept.move_to_end(event.cursor)
            return frame
        frame = self.encode(event)
        if not frame:
            return frame
        self._kept[event.cursor] = frame
        self._held += len(frame)
        while self._held > self.size:
            self._held -= len(self._kept.popitem(last=False)[1])
        return frame
