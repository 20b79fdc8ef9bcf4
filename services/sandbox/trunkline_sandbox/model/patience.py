"""How long a forge that is away is waited for, and when it is asked again: pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trunkline.contracts.errors import DomainError, Exhausted, Overdue, Unavailable
from trunkline_sandbox.model.run import Run, Step, may_stop

MENDABLE: Final = (Unavailable, Overdue, Exhausted)
"""What may be over by itself."""
_AWAY: Final = ("FORGE_UNAVAILABLE", "FORGE_LIMITED", "FORGE_BUSY", "FORGE_UNINTELLIGIBLE", "REMOTE_UNAVAILABLE")
"""What is waited for though nothing was done yet; other troubles of a clone are told soon."""


@dataclass(frozen=True, slots=True)
class Patience:
    """All in seconds."""

    here: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    """Pauses for which a run keeps its hand; after them it is put aside."""
    longest_here: float = 20.0
    """A forge that wants to be left alone for longer is waited for without a hand."""
    first: float = 30.0
    most: float = 300.0
    """The pauses of a run that is put aside begin with `first` and double up to `most`."""
    limit: float = 6 * 3600.0
    """Since it was put aside for the first time."""

    def pause(self, parks: int) -> float:
        """Before the next try of a run that was put aside so often."""
        return min(self.first * 2.0 ** min(parks, 30), self.most)

    def too_long(self, run: Run, at: datetime, seconds: float) -> bool:
        """Whether the forge is given up rather than waited for once more."""
        return at + timedelta(seconds=seconds) > (run.forge_since or at) + timedelta(seconds=self.limit)


def worth_waiting(step: Step, error: DomainError) -> bool:
    """Work that is done waits for whatever may mend; before that, only a forge that is plainly away is waited for."""
    return isinstance(error, MENDABLE) and (not may_stop(step) or error.code in _AWAY)


def told_to_wait(error: DomainError) -> float:
    """Seconds in which the forge wants to hear nothing; 0: it named none."""
    wanted = error.details.get("retry_after")
    return max(float(wanted), 0.0) if isinstance(wanted, int | float) else 0.0


def given_up(error: DomainError, run: Run, task: str, patience: Patience, *, kept: bool) -> str:
    """Why the run ends, and how the work is gone on with."""
    told = f"{error.message} It was waited for, up to {_spoken(patience.limit)} (TRUNKLINE_FORGE_PATIENCE_S)."
    if run.committed is None:
        return f"{told} Nothing was done yet; submit the task again when the forge is back."
    where = f"The work is at the forge, on the branch {run.committed.branch}." if run.pushed else ""
    how = f"The work is kept: `trunkline continue {task}` goes on from it when the forge is back." if kept else ""
    return " ".join(part for part in (told, where, how or "Nothing more is kept: TRUNKLINE_SNAPSHOT_DAYS is 0.") if part)


def _spoken(seconds: float) -> str:
    return f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{seconds:.3g} s"
