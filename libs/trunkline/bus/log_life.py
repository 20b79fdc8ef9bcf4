"""The lives of a log: each restore begins a new one, and what was told in an earlier one is still found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.contracts.cursor import Cursor

EARLIER: Final = "trunkline-earlier"
"""In the metadata of the log: `<epoch>:<last sequence>` of each life before this one, oldest first, with commas between them."""
MOST_LIVES: Final = 64

Lives = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class LogLife:
    """The name of this life of the log, what it seals with, how many servers hold it, and the lives that it goes on from."""

    epoch: str
    seal: bytes
    """Known to every service and nobody else: what they sign for each other's eyes."""
    replicas: int
    earlier: Lives = ()
    """Oldest first, each with the last sequence that is still as it was then."""

    def epoch_at(self, seq: int) -> str:
        """The life in which a record was stored: what is named after it keeps that name for good."""
        return next((epoch for epoch, last in self.earlier if seq <= last), self.epoch)

    def ended(self, epoch: str) -> int | None:
        """The last sequence that is left of an earlier life; None for this one, and for one that nobody here knows of."""
        return dict(self.earlier).get(epoch)

    def here(self, cursor: Cursor) -> Cursor:
        """The same place in this life; a place that the restored log never had stays that of another log, and is a gap."""
        for epoch, last in self.earlier:
            if cursor.epoch == epoch and cursor.seq <= last:
                return Cursor(self.epoch, cursor.seq, cursor.index)
        return cursor


def read_earlier(text: str) -> Lives:
    """What `written_earlier` wrote."""
    pairs = (each.partition(":") for each in text.split(",") if each)
    return tuple((epoch, int(last)) for epoch, _, last in pairs)


def written_earlier(earlier: Lives, ended: tuple[str, int]) -> str:
    """With the life that ends now; one that went on beyond it did so elsewhere, and of that nothing is left here."""
    kept = [(epoch, min(last, ended[1])) for epoch, last in earlier]
    return ",".join(f"{epoch}:{last}" for epoch, last in [*kept, ended][-MOST_LIVES:])
