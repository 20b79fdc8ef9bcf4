"""What the approvals service needs from the world: the log of each approval, those of tasks and runs, and a clock that wakes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from trunkline.bus import Loaded, Stored
from trunkline.contracts.message import Fact
from trunkline_approvals.model import Cue, ExpireApproval, State


class Outcome(Protocol):
    """What came of a cue."""

    @property
    def state(self) -> State | None: ...

    @property
    def seq(self) -> int: ...

    @property
    def facts(self) -> Sequence[Fact]: ...


class Approvals(Protocol):
    """All approvals; one cue at a time for each of them, whoever else writes."""

    async def receive(self, subject: str, command: Cue, at: datetime, cause: str = "") -> Outcome:
        """Raises what the model refuses with, and Unavailable."""
        ...

    async def state(self, subject: str, since: int) -> State | None:
        """How it stood at the record `since`, or later. Raises Unavailable."""
        ...


class Tasks(Protocol):
    """What the router said about each task, and what was said about its runs."""

    async def load(self, subject: str) -> Loaded:
        """Everything up to now. Raises Unavailable."""
        ...


class Expiries(Protocol):
    """Timers that survive everything. Setting one again does no harm, and a late one finds that it is late."""

    async def set(self, at: datetime, wake: ExpireApproval) -> None:
        """Hand back `wake` at `at` or soon after. Raises Unavailable."""
        ...


class QuestionEar(Protocol):
    """What agents elsewhere ask, and what becomes of it."""

    async def on(self, stored: Stored) -> None: ...
