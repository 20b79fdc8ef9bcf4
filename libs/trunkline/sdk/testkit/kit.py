"""Tests of agents: an agent of yours at work, and the tasks that it is given, as its users see them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self, TypedDict, TypeVar, Unpack

from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from trunkline.contracts.agent import Artifact, Progress, Publish, Stop, Stopping, Text
from trunkline.contracts.task import Priority, StopCause
from trunkline.sdk.agents.agent import Agent
from trunkline.sdk.testkit import life
from trunkline.sdk.testkit.ledger import Asked, Entry
from trunkline.sdk.testkit.memory_wire import MemoryWire, Switchboard

T = TypeVar("T")
WITHIN: Final = 5.0
"""Seconds until a test is told that what it waits for did not happen."""
_NOTHING: Final[Mapping[str, object]] = {}


class TaskRest(TypedDict, total=False):
    """How a task is, beyond its type and payload. `pool`: the agent's first, where none is named."""

    pool: str
    prompt: str
    repo: str
    branch: str
    metadata: Mapping[str, object]
    priority: Priority
    submitted_by: str
    max_retries: int


class KitTask:
    """One task, as it stands now."""

    def __init__(self, board: Switchboard, entry: Entry) -> None:
        self._board = board
        self._known = entry

    @property
    def _entry(self) -> Entry:
        """As it is by now: leases end by the clock."""
        self._board.tick()
        return self._known

    @property
    def task_id(self) -> str:
        return self._entry.task_id

    @property
    def status(self) -> str:
        """assigned, in_progress, stopping, succeeded, failed or cancelled."""
        return self._entry.status.value

    @property
    def attempt(self) -> int:
        return self._entry.attempt

    @property
    def result(self) -> JsonValue:
        return self._entry.result

    @property
    def code(self) -> str:
        """Of the last failure."""
        return self._entry.code

    @property
    def error(self) -> str:
        return self._entry.error

    @property
    def texts(self) -> list[str]:
        return [item.text for item in self._entry.items if isinstance(item, Text)]

    @property
    def progress(self) -> list[Progress]:
        return [item for item in self._entry.items if isinstance(item, Progress)]

    @property
    def artifacts(self) -> dict[str, Artifact]:
        return {item.name: item for item in self._entry.items if isinstance(item, Artifact)}

    @property
    def questions(self) -> list[Asked]:
        return list(self._entry.asked.values())

    @property
    def parts(self) -> list[KitTask]:
        """Tasks that its agent made."""
        return [KitTask(self._board, self._board.plane.entries[task]) for task in self._entry.parts.values()]

    @property
    def in_hand(self) -> bool:
        """An agent has a lease of it."""
        return self._entry.grant is not None

    def cancel(self, reason: str = "", by: str = "somebody") -> None:
        self._stop(Stop(cause=StopCause.CANCELLED, by=by, reason=reason))

    def overrun(self) -> None:
        """Its deadline is over."""
        self._stop(Stop(cause=StopCause.DEADLINE, by="timeout", reason="the deadline is over"))

    def expire(self) -> None:
        """Its lease is over, as if nothing had been heard of the agent."""
        with self._board.lock:
            life.silent(self._entry, 0.0)
            self._board.plane.changed()

    async def over(self, within: float = WITHIN) -> Self:
        await self.until(lambda task: task._entry.status.terminal, within)
        return self

    async def question(self, within: float = WITHIN) -> Asked:
        """The oldest that nobody decided yet."""
        return await self.until(lambda task: next((asked for asked in task.questions if asked.open), None), within)

    async def until(self, look: Callable[[Self], T | None], within: float = WITHIN) -> T:
        """What `look` finds, once it finds something. Raises TimeoutError, which says how it stands."""
        try:
            async with asyncio.timeout(within):
                return await self._found(look)
        except TimeoutError:
            raise TimeoutError(f"not within {within} s: {self!r}") from None

    async def _found(self, look: Callable[[Self], T | None]) -> T:
        with self._board.waiting() as bell:
            while not (found := look(self)):
                await bell.rung()
            return found

    def __repr__(self) -> str:
        entry = self._entry
        why = f", {entry.code}: {entry.error}" if entry.error else ""
        return f"<task {entry.task_id} of type {entry.type!r}: {entry.status}, attempt {entry.attempt}{why}>"

    def _stop(self, stop: Stop) -> None:
        with self._board.lock:
            life.to_stop(self._entry, stop)
            self._board.plane.changed()
            grant = self._entry.grant
        if grant is not None:
            told = Stopping(task_id=self.task_id, lease=grant.lease, cause=stop.cause, by=stop.by, reason=stop.reason)
            for hear in list(self._board.hears):
                hear("stop", told.written())


class Kit:
    """An agent at work inside the `async with` block; its end ends the agent, whatever it does then.

    `lease_s`: seconds that a lease lasts without a beat. `retry_s`: that another attempt waits.
    """

    def __init__(self, agent: Agent, *, lease_s: float = 2.0, retry_s: float = 0.0) -> None:
        self._agent = agent
        self._board = Switchboard(lease_s, retry_s)
        self._group = asyncio.TaskGroup()
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._serving = self._group.create_task(self._agent._serve(lambda: MemoryWire(self._board)))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._serving is not None
        self._serving.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as errors:
            if error is None or isinstance(error, asyncio.CancelledError):
                raise errors.exceptions[0] from None  # the agent's own end, and no failure of the test

    def submit(self, type: str, payload: Mapping[str, object] = _NOTHING, **rest: Unpack[TaskRest]) -> KitTask:
        given: dict[str, Any] = to_jsonable_python({"payload": payload, **rest})
        pool, most = given.pop("pool", self._agent.pools[0]), given.pop("max_retries", 1)
        with self._board.lock:
            return KitTask(self._board, self._board.plane.put(type, pool, most, given))

    @property
    def published(self) -> list[Publish]:
        """What the agent told everybody."""
        return list(self._board.plane.published.values())

    async def drain(self, within: float = WITHIN) -> None:
        """As at SIGTERM: returns when the agent has ended. Raises TimeoutError."""
        assert self._serving is not None
        self._agent.drain()
        await asyncio.wait({self._serving}, timeout=within)
        if not self._serving.done():
            raise TimeoutError(f"the agent did not drain within {within} s")

    def lose_answers(self, number: int = 1) -> None:
        """So many of the next answers get lost on their way, after what was asked has been done."""
        self._board.losing = number

    @contextmanager
    def away(self) -> Iterator[None]:
        """No way to the bus inside the block."""
        self._board.away = True
        try:
            yield
        finally:
            self._board.away = False


def run(agent: Agent, type: str, payload: Mapping[str, object] = _NOTHING, **rest: Unpack[TaskRest]) -> KitTask:
    """One task from its beginning to its end, for tests that are not asynchronous. Raises TimeoutError where it waits for somebody."""

    async def once() -> KitTask:
        async with Kit(agent) as kit:
            return await kit.submit(type, payload, **rest).over()

    return asyncio.run(once())
