"""What a handler may ask of the control plane while it works on a task: people's words, other tasks, a word to everybody."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypedDict, TypeVar
from uuid import uuid4

from trunkline.contracts.agent import (
    ANSWERED_WITHIN_S,
    MOST_WAIT_S,
    Answer,
    Answered,
    AnswerStatus,
    Approve,
    Ask,
    Asked,
    Leased,
    Publish,
    Submit,
    SubmittedPart,
)
from trunkline.contracts.ids import token
from trunkline.contracts.message import Message
from trunkline.contracts.task import Priority
from trunkline.sdk.agents.asking import LEASE_LOST, Door, PassingError
from trunkline.sdk.agents.failing import AwayError, RefusedError, UnansweredError, readable
from trunkline.sdk.agents.wording import valid
from trunkline.sdk.retrying import Patience

T = TypeVar("T", bound=Message)
About = Mapping[str, object]
"""What can become JSON."""
TURN: Final = 2.0
"""Seconds for which each of many looks for its answer, before the next does."""
WITHIN: Final = 60.0
"""Seconds for which one wish is repeated while nobody answers."""
PACED: Final = 600.0
"""Seconds for wishes of which the control plane takes so many a minute: whoever has more of them waits."""
_BACKOFF: Final = Patience(first=0.2, longest=5.0)
_WHY: Final = {
    AnswerStatus.REJECTED: "somebody refused to answer",
    AnswerStatus.EXPIRED: "nobody answered in time",
    AnswerStatus.WITHDRAWN: "nobody will answer any more",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of a question; true when it is a yes."""

    status: AnswerStatus
    by: str = ""
    reason: str = ""

    def __bool__(self) -> bool:
        return self.status is AnswerStatus.APPROVED


@dataclass(frozen=True, slots=True)
class Question:
    """In which words people are asked. `key`: the handler's name for it; the same is not asked twice, not by a later attempt either."""

    words: str
    about: About
    key: str = ""
    expires_s: float | None = None


class Part(TypedDict, total=False):
    """How another task is to be, beyond its type and payload. `key` as in Question."""

    key: str
    prompt: str
    repo: str
    branch: str
    metadata: About
    priority: Priority
    max_retries: int
    deadline_s: float


class Verbs:
    """Of one leased task. `lost` is called when the control plane says that it is somebody else's."""

    def __init__(self, door: Door, leased: Leased, lost: Callable[[], None]) -> None:
        self._door = door
        self._leased = leased
        self._lost = lost
        self._times: Counter[str] = Counter()

    async def approve(self, question: Question) -> Decision:
        """Raises RefusedError, AwayError, TaskError for what cannot be asked."""
        id = self._id(question.key, "approve", question.words, question.about)
        wish = self._made(Approve, id=id, title=readable(question.words), about=question.about, expires_s=question.expires_s)
        await self._asked("approve", wish, Asked)
        answered = await self._answered(id)
        return Decision(answered.status, answered.by, answered.reason)

    async def ask(self, question: Question) -> str:
        """Raises UnansweredError too."""
        id = self._id(question.key, "ask", question.words, question.about)
        wish = self._made(Ask, id=id, question=readable(question.words), about=question.about, expires_s=question.expires_s)
        await self._asked("ask", wish, Asked)
        answered = await self._answered(id)
        if answered.status is AnswerStatus.APPROVED:
            return answered.answer
        why = f": {answered.reason}" if answered.reason else ""
        raise UnansweredError(f"{_WHY.get(answered.status, answered.status)}{why} ({question.words[:200]})")

    async def publish(self, event_type: str, payload: About, priority: Priority | None) -> None:
        task = self._leased
        said = {"event_type": event_type, "payload": dict(payload), "priority": priority, "trace_id": task.trace_id or None}
        await self._asked("publish", valid(Publish, event_id=uuid4().hex, task_id=task.task_id, **said), Message, PACED)

    async def submit(self, type: str, payload: About, part: Part) -> str:
        """The id of the task that was made."""
        rest = {name: value for name, value in part.items() if name != "key"}
        id = self._id(part.get("key", ""), "submit", type, {"payload": payload, "part": rest})
        wish = self._made(Submit, id=id, type=type, payload=payload, **rest)
        return (await self._asked("submit", wish, SubmittedPart, PACED)).task_id

    async def _answered(self, id: str) -> Answered:
        """However long it takes: the lease ends it, and the clock of the approval."""
        tries = 0
        while True:
            wish = self._made(Answer, id=id, wait_s=TURN if self._door.crowded else MOST_WAIT_S)
            try:
                answered = await self._within("answer", wish.written(), Answered)
                tries = 0
            except (AwayError, PassingError):
                tries += 1
                await asyncio.sleep(_BACKOFF.backoff(tries, random.random()))
            else:
                if answered.status is not AnswerStatus.PENDING:
                    return answered

    async def _within(self, verb: str, body: bytes, answer: type[T]) -> T:
        try:
            return await self._door.once(verb, body, answer, MOST_WAIT_S + ANSWERED_WITHIN_S)
        except RefusedError as error:
            self._heed(error)
            raise

    async def _asked(self, verb: str, wish: Message, answer: type[T], within: float = WITHIN) -> T:
        try:
            return await self._door.ask(verb, wish, answer, within=within)
        except RefusedError as error:
            self._heed(error)
            raise

    def _heed(self, error: RefusedError) -> None:
        if error.code == LEASE_LOST:
            self._lost()

    def _made(self, kind: type[T], **fields: object) -> T:
        return valid(kind, task_id=self._leased.task_id, lease=self._leased.lease, **fields)

    def _id(self, key: str, verb: str, words: str, about: object) -> str:
        """The same for the same words, time by time: a later attempt that goes the same way finds what was asked before."""
        if key:
            return _token(key)
        digest = sha256(json.dumps([verb, words, about], sort_keys=True, default=str).encode()).hexdigest()[:32]
        self._times[digest] += 1
        return f"{digest}-{self._times[digest]}"


def _token(key: str) -> str:
    try:
        return token(key)
    except ValueError:
        return sha256(key.encode()).hexdigest()[:32]
