"""What a checkpoint of an earlier life of the log means: each restore of a backup begins another."""

from __future__ import annotations

from typing import Protocol

from trunkline.audit.checking import Finding, Kind
from trunkline.audit.checkpoints import Checkpoint


class Lives(Protocol):
    """Those of one log."""

    def epoch_at(self, seq: int) -> str:
        """The life in which a record was stored."""
        ...

    def ended(self, epoch: str) -> int | None:
        """The last sequence that is left of an earlier life; None for this one, and for one that nobody here knows of."""
        ...


def restored(checkpoint: Checkpoint, lives: Lives) -> bool:
    """Whether it was signed for what a restore has left behind: it is gone, and everybody may know why."""
    end = lives.ended(checkpoint.epoch)
    return end is not None and checkpoint.seq > end


def of_another_life(newest: Checkpoint, lives: Lives) -> Finding | None:
    """What is wrong with a book whose newest checkpoint this is, if it tells of more than this log ever held."""
    if newest.epoch == lives.epoch_at(newest.seq):
        return None
    if restored(newest, lives):
        return Finding(Kind.RESTORED, (lives.ended(newest.epoch) or 0) + 1, newest.seq, before=newest.at)
    return Finding(Kind.REPLACED, newest.first, newest.seq, before=newest.at)
