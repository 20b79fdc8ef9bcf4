"""Tasks that are none of a service's business: where it heard itself how one was asked for, later news of it is passed over unread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trunkline.contracts.record import read_told
from trunkline.contracts.task import Assignment, TaskSubmitted

MOST: Final = 10_000
"""Tasks that are remembered; of a forgotten one, as of one that another replica heard of, all news is looked at."""
_SUBMITTED: Final = str(TaskSubmitted.model_fields["type"].default)
_WORD: Final = _SUBMITTED.encode()


class Elsewhere:
    """For `Inlet.facts`. What a task is asked to be never changes, so what was heard once holds."""

    def __init__(self, theirs: Callable[[Assignment], bool]) -> None:
        """`theirs` says that nothing is ever ours to do for a task asked for so."""
        self._theirs = theirs
        self._known: dict[str, None] = {}

    def __call__(self, subject: str, body: bytes) -> bool:
        """Whether a record is nothing for us."""
        return subject in self._known or self._learnt(subject, body)

    def _learnt(self, subject: str, body: bytes) -> bool:
        if _WORD not in body:
            return False
        try:
            _, facts = read_told(body, (_SUBMITTED,))
        except (ValueError, TypeError, AttributeError, KeyError):  # whoever acts on it says so of what nobody can read
            return False
        theirs = any(isinstance(fact, TaskSubmitted) and self._theirs(fact.assignment) for fact in facts)
        if theirs:
            self._known[subject] = None
            if len(self._known) > MOST:
                del self._known[next(iter(self._known))]
        return theirs
