"""What the control plane in memory knows: its tasks, in whose hands they are, and what was asked and said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from trunkline.contracts.agent import AgentReported, AnswerStatus, Item, Stop
from trunkline.contracts.task import TaskStatus


@dataclass(slots=True)
class Asked:
    """A question to people. `kind`: `approve` or `ask`. Decide it by `approve`, `reject`, `answer` or `expire`."""

    id: str
    kind: str
    words: str
    about: Mapping[str, JsonValue]
    decided: Callable[[Asked], None] = field(repr=False)
    status: AnswerStatus = AnswerStatus.PENDING
    said: str = ""
    by: str = ""
    reason: str = ""

    @property
    def open(self) -> bool:
        return self.status is AnswerStatus.PENDING

    def approve(self, by: str = "somebody", reason: str = "") -> None:
        self._decide(AnswerStatus.APPROVED, by, reason)

    def reject(self, reason: str = "", by: str = "somebody") -> None:
        self._decide(AnswerStatus.REJECTED, by, reason)

    def answer(self, words: str, by: str = "somebody") -> None:
        if self.open:
            self.said = words
        self._decide(AnswerStatus.APPROVED, by, "")

    def expire(self) -> None:
        """Nobody decides it in time."""
        self._decide(AnswerStatus.EXPIRED, "timeout", "")

    def withdraw(self) -> None:
        self._decide(AnswerStatus.WITHDRAWN, "", "the task is over")

    def _decide(self, status: AnswerStatus, by: str, reason: str) -> None:
        if self.open:
            self.by, self.reason, self.status = by, reason, status
            self.decided(self)


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease: nothing counts that comes without it."""

    lease: str
    session: str
    until: float
    started: bool = False
    begun: bool = False
    """Started by being given."""
    known: bool = False
    """The session said that it has it."""
    beaten: bool = False
    """By a beat, at that."""


@dataclass(slots=True)
class Entry:
    """One task."""

    task_id: str
    type: str
    pool: str
    rest: Mapping[str, object]
    """Payload, prompt, repository and so on, as they were given."""
    max_retries: int = 1
    status: TaskStatus = TaskStatus.ASSIGNED
    attempt: int = 1
    begins_at: float = 0.0
    """Not given to anybody before; by the plane's clock."""
    given_back: int = 0
    grant: Grant | None = None
    closed: tuple[str, AgentReported] | None = None
    """The last word of the lease before: said again, it changes nothing."""
    stop: Stop | None = None
    result: JsonValue = None
    code: str = ""
    error: str = ""
    says: dict[str, tuple[Item, ...]] = field(default_factory=dict)
    """By id, in order."""
    asked: dict[str, Asked] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    """Tasks that its agent made, by the id of the wish."""

    @property
    def items(self) -> list[Item]:
        return [item for said in self.says.values() for item in said]
