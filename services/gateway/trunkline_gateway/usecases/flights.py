"""Questions to somebody far away: each asked once however many want to know, few at a time, and to its end whoever leaves meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from trunkline.contracts.errors import DomainError, Refusal, Unavailable

T = TypeVar("T")

AT_ONCE: Final = 32
WAITING: Final = 256
"""Questions under way or waiting for their turn; beyond that nobody could be answered in time."""
RETRY_S: Final = 5
DEADLINE_S: Final = 5.0
"""Of one question, its wait for its turn included."""


class Flights(Generic[T]):
    """Entered, it asks; left, what is under way is broken off."""

    def __init__(self, whom: str, deadline_s: float = DEADLINE_S) -> None:
        self._whom = whom
        self._deadline = deadline_s
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._group = asyncio.TaskGroup()
        self._under_way: dict[bytes, asyncio.Task[T | DomainError]] = {}

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for flight in self._under_way.values():
            flight.cancel()
        await self._group.__aexit__(kind, error, trace)

    async def ask(self, name: bytes, question: Callable[[], Awaitable[T]]) -> T:
        """The answer; everybody with the same `name` gets the same. Raises what the question raises, and Unavailable."""
        answer = await asyncio.shield(self.begin(name, question))
        if isinstance(answer, DomainError):
            raise Refusal.of(answer).error()  # of one's own: many may be told
        return answer

    def begin(self, name: bytes, question: Callable[[], Awaitable[T]]) -> asyncio.Task[T | DomainError]:
        """Asks, and waits for nothing. Raises Unavailable when too many wait already."""
        if found := self._under_way.get(name):
            return found
        if len(self._under_way) >= WAITING:
            raise Unavailable(f"too many wait for {self._whom} already; try again in a moment", code="GITHUB_BUSY", retry_after=RETRY_S)
        flight = self._under_way[name] = self._group.create_task(self._flown(question))
        flight.add_done_callback(lambda _: self._under_way.pop(name, None))
        return flight

    async def _flown(self, question: Callable[[], Awaitable[T]]) -> T | DomainError:
        try:
            async with asyncio.timeout(self._deadline), self._turns:
                return await question()
        except DomainError as error:
            return error
        except TimeoutError:
            message = f"{self._whom} did not answer within {self._deadline:g} s; try again in a moment"
            return Unavailable(message, code="GITHUB_AWAY", retry_after=RETRY_S)
