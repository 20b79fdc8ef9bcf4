"""What a failure of a request to GitHub says about whether anything came of it."""

from __future__ import annotations

from typing import Final

from trunkline.contracts.dispatch import Outcome
from trunkline.contracts.errors import DomainError, Exhausted
from trunkline_relay.model.dispatch_trying import Answered

LONGEST: Final = 500


def answered_by(error: DomainError) -> Answered:
    """Details are those that `ports.Workflows` names; what says nothing of itself counts as unknown."""
    said, status, wait = (error.details.get(name) for name in ("outcome", "status", "retry_after"))
    return Answered(
        Outcome(said) if isinstance(said, str) else Outcome.ERROR,
        status if isinstance(status, int) else None,
        error.message[:LONGEST],
        limited=isinstance(error, Exhausted),
        retry_after=float(wait) if isinstance(wait, int | float) else None,
    )
