"""A stretch of the log: what one checkpoint covers, with the links that the book keeps of it."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from operator import lt
from struct import iter_unpack
from typing import Final

from trunkline.audit.chain import SHORT
from trunkline.audit.checkpoints import Checkpoint

LINK: Final = 8 + SHORT
"""Bytes of one: a sequence, and the beginning of a digest."""
_FORM: Final = f">Q{SHORT}s"

Link = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Stretch:
    checkpoint: Checkpoint
    begin: int
    """The first sequence that may lie in it."""
    packed: bytes
    """Its links, as they lie in the book; the checkpoints say how many those are."""

    def links(self) -> Iterator[Link]:
        return iter_unpack(_FORM, self.packed)

    def in_order(self) -> bool:
        """Whether they can be of it: each after the one before, none outside, and the last is what the checkpoint names."""
        numbers = array("Q", self.packed)
        if sys.byteorder == "little":
            numbers.byteswap()
        seqs = numbers[:: LINK // 8]
        within = bool(seqs) and self.begin <= seqs[0] and seqs[-1] == self.checkpoint.seq
        return within and all(map(lt, seqs, islice(seqs, 1, None)))
