"""A place in the log: the SSE id, the resume cursor, the replay and the test's index on every surface."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trunkline.contracts.errors import Invalid

_TEXT = re.compile(r"\A([a-z0-9]{1,16})-(\d{1,19})(?:\.(\d{1,4}))?\Z")


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """`<epoch>-<sequence>`, with `.<index>` behind it for the second and later facts of one decision.

    The epoch names the life of the log: a log that was lost and begun again has another one, so an old
    cursor is never mistaken for a place in the new log.
    """

    epoch: str
    seq: int
    index: int = 0

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}" + (f".{self.index}" if self.index else "")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what `str` wrote. Raises Invalid."""
        found = _TEXT.match(text)
        if not found:
            raise Invalid("an event id looks like k3v9-1234 or k3v9-1234.1", code="BAD_EVENT_ID")
        return cls(found[1], int(found[2]), int(found[3] or 0))
