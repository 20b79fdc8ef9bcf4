"""What the verbs of a client work with: one kind that is awaited, and one that waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from trunkline.sdk.blocking import List, Stream
from trunkline.sdk.calls import Call, Feed, Page
from trunkline.sdk.following import AsyncStream
from trunkline.sdk.paging import AsyncList
from trunkline.sdk.portal import Portal
from trunkline.sdk.retrying import Patience
from trunkline.sdk.wire import Wire

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Awaited:
    """For asynchronous programs. `give_up` in seconds: for so long a stream may come to nothing."""

    wire: Wire
    patience: Patience
    give_up: float

    async def ask(self, call: Call[T]) -> T:
        return await self.wire.ask(call)

    def follow(self, feed: Feed[T]) -> AsyncStream[T]:
        return AsyncStream(self.wire, feed, self.patience, self.give_up)

    def listing(self, call: Call[Page[T]]) -> AsyncList[T]:
        return AsyncList(self.wire, call)


@dataclass(frozen=True, slots=True)
class Waited:
    """For all others: the same, waited for."""

    inner: Awaited
    portal: Portal

    def ask(self, call: Call[T]) -> T:
        return self.portal.run(self.inner.ask(call))

    def follow(self, feed: Feed[T]) -> Stream[T]:
        return Stream(self.portal, self.inner.follow(feed))

    def listing(self, call: Call[Page[T]]) -> List[T]:
        return List(self.portal, self.inner.wire, call)


Means = TypeVar("Means", Awaited, Waited)
"""Which of the two a client has."""
Held = TypeVar("Held", Awaited, Waited, covariant=True)


class Group(Protocol[Held]):
    """Verbs that belong together, with what they work with."""

    @property
    def _means(self) -> Held: ...
