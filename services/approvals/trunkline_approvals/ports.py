"""What the approvals service needs from the world: the log of each approval, and a clock that wakes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from trunkline.contracts.message import Fact
from trunkline_approvals.model import Approval, ApprovalCommand, ExpireApproval


class Outcome(Protocol):
    """What came of a command."""

    @property
    def state(self) -> Approval | None: ...

    @property
    def seq(self) -> int: ...

    @property
    def facts(self) -> Sequence[Fact]: ...


class Approvals(Protocol):
    """All approvals; one command at a time for each of them, whoever else writes."""

    async def receive(self, subject: str, command: ApprovalCommand, at: datetime, cause: str = "") -> Outcome:
        """Raises what the model refuses with, and Unavailable."""
        ...


class Expiries(Protocol):
    """Timers that survive everything. Setting one again does no harm, and a late one finds that it is late."""

    async def set(self, at: datetime, wake: ExpireApproval) -> None:
        """Hand back `wake` at `at` or soon after. Raises Unavailable."""
        ...
