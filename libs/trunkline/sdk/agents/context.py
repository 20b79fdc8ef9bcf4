"""What a handler is given beside the payload: the task it works on, and the verbs with which it speaks of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar, Unpack

from trunkline.contracts.agent import Item, Leased
from trunkline.contracts.task import Priority
from trunkline.sdk.agents import wording
from trunkline.sdk.agents.speaking import Speech, Told
from trunkline.sdk.agents.verbs import About, Decision, Part, Question, Verbs
from trunkline.sdk.agents.wording import ArtifactRest

T = TypeVar("T")
_NOTHING: Final[About] = {}


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Why the work is to end. `cause`: cancelled, deadline, lease_lost or draining."""

    cause: str
    by: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.cause}{f' by {self.by}' if self.by else ''}{f': {self.reason}' if self.reason else ''}"


class Begin(Protocol):
    """Runs a coroutine where the bus is spoken to."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> Future[T]: ...


@dataclass(slots=True)
class Ties:
    """What a context is tied to; shared with whoever carries the task."""

    task: Leased
    verbs: Verbs = field(repr=False)
    speech: Speech = field(repr=False)
    begin: Begin = field(repr=False)
    cancelled: Cancelled | None = None

    def add(self, *items: Item) -> Told:
        told = Told(None)
        for item in items:
            told = self.speech.add(item)
        return told


class Context:
    """For handlers that are coroutines.

    `task` is what is worked on: `task_id`, `type`, `attempt`, `prompt`, `repo`, `metadata`, `deadline_at` and more. When it is to end, the
    handler gets asyncio.CancelledError where it waits, and `cancelled` says why.
    """

    def __init__(self, ties: Ties) -> None:
        self._ties = ties
        self.task = ties.task

    @property
    def cancelled(self) -> Cancelled | None:
        return self._ties.cancelled

    def progress(self, text: str = "", fraction: float | None = None) -> Told:
        """How far it is. Of several that wait to be told, the last counts."""
        return self._ties.add(wording.progress(text, fraction))

    def say(self, text: str, *, is_error: bool = False) -> Told:
        """Said at once after a silence, else in company. `await` it where much is said: it waits while there is no room."""
        return self._ties.add(*wording.texts(text, is_error=is_error))

    def artifact(self, name: str, text: str = "", **rest: Unpack[ArtifactRest]) -> Told:
        """Something made: a short text, a JSON `value`, or the `url` of what is elsewhere. Raises TaskError for what is too large."""
        return self._ties.add(wording.artifact(name, text, rest))

    async def approve(self, title: str, about: About = _NOTHING, *, key: str = "", expires_s: float | None = None) -> Decision:
        """May I? True when somebody who may say so says yes. `key`: asked once under this name, by all attempts together."""
        return await self._done(self._ties.verbs.approve(Question(title, dict(about), key, expires_s)))

    async def ask(self, question: str, about: About = _NOTHING, *, key: str = "", expires_s: float | None = None) -> str:
        """The answer of somebody, in words. Raises UnansweredError."""
        return await self._done(self._ties.verbs.ask(Question(question, dict(about), key, expires_s)))

    async def publish(self, event_type: str, payload: About = _NOTHING, *, priority: Priority | None = None) -> None:
        """Tell everybody of the tenant about something: `event_type` in dotted small words."""
        await self._done(self._ties.verbs.publish(event_type, payload, priority))

    async def submit(self, type: str, payload: About = _NOTHING, **part: Unpack[Part]) -> str:
        """Another task as a part of this one; its id. The same again by a later attempt makes no second one."""
        return await self._done(self._ties.verbs.submit(type, dict(payload), part))

    async def _done(self, wish: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(self._ties.begin(wish))


class BlockingContext:
    """For handlers that are plain functions, each in a thread of its own: the same verbs, waited for.

    Nothing can end a thread from outside. When the work is to end, the next verb raises asyncio.CancelledError, and `cancelled` says why; a
    handler that computes for long looks at it, or calls `sleep(0)`, now and then.
    """

    def __init__(self, ties: Ties) -> None:
        self._ties = ties
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._open: set[Future[Any]] = set()
        self.task = ties.task

    @property
    def cancelled(self) -> Cancelled | None:
        return self._ties.cancelled

    def progress(self, text: str = "", fraction: float | None = None) -> None:
        self._told(self._ties.add(wording.progress(text, fraction)))

    def say(self, text: str, *, is_error: bool = False) -> None:
        self._told(self._ties.add(*wording.texts(text, is_error=is_error)))

    def artifact(self, name: str, text: str = "", **rest: Unpack[ArtifactRest]) -> None:
        self._told(self._ties.add(wording.artifact(name, text, rest)))

    def approve(self, title: str, about: About = _NOTHING, *, key: str = "", expires_s: float | None = None) -> Decision:
        return self._done(self._ties.verbs.approve(Question(title, dict(about), key, expires_s)))

    def ask(self, question: str, about: About = _NOTHING, *, key: str = "", expires_s: float | None = None) -> str:
        return self._done(self._ties.verbs.ask(Question(question, dict(about), key, expires_s)))

    def publish(self, event_type: str, payload: About = _NOTHING, *, priority: Priority | None = None) -> None:
        self._done(self._ties.verbs.publish(event_type, payload, priority))

    def submit(self, type: str, payload: About = _NOTHING, **part: Unpack[Part]) -> str:
        return self._done(self._ties.verbs.submit(type, dict(payload), part))

    def sleep(self, seconds: float) -> None:
        """Like time.sleep, and over at once when the work is to end."""
        self._stopped.wait(seconds)
        self._check()

    def stop(self) -> None:
        """Whatever is waited for is not waited for any more. For whoever carries the task."""
        with self._lock:
            self._stopped.set()
            waiting, self._open = self._open, set()
        for future in waiting:
            future.cancel()

    def _told(self, told: Told) -> None:
        self._check()
        if told.room is not None:
            self._result(told.room)

    def _done(self, wish: Coroutine[Any, Any, T]) -> T:
        return self._result(self._ties.begin(wish))

    def _result(self, future: Future[T]) -> T:
        with self._lock:
            self._open.add(future)
            if self._stopped.is_set():
                future.cancel()
        try:
            return future.result()
        except CancelledError:
            self._check()
            raise
        finally:
            with self._lock:
                self._open.discard(future)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise asyncio.CancelledError(str(self.cancelled or ""))
