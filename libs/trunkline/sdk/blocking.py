"""Streams and lists for programs that are not asynchronous: the asynchronous ones, waited for."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from trunkline.sdk.calls import Call, Page
from trunkline.sdk.following import AsyncStream
from trunkline.sdk.portal import ClosedError, Portal
from trunkline.sdk.wire import Wire

T = TypeVar("T")


class Stream(Generic[T]):
    """Every event once and in order, to the last; a connection that breaks is resumed where it broke.

    `last_event_id` is that of the event that was handed out last: another stream may go on from it. Iterating raises TrunklineError when
    the gateway refuses, or stays away too long. For one thread at a time.
    """

    def __init__(self, portal: Portal, inner: AsyncStream[T]) -> None:
        self._portal = portal
        self._inner = inner

    @property
    def last_event_id(self) -> str:
        return self._inner.last_event_id

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        found = self._inner.taken()
        if found is None:
            self._portal.run(self._inner.fill())
            found = self._inner.taken()
        if found is None:
            raise StopIteration
        return found

    def close(self) -> None:
        try:
            self._portal.run(self._inner.aclose())
        except ClosedError:
            pass  # with the client its streams are closed too

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class List(Generic[T]):
    """Iterated, every item of every page. Raises TrunklineError."""

    def __init__(self, portal: Portal, wire: Wire, first: Call[Page[T]]) -> None:
        self._portal = portal
        self._wire = wire
        self._first = first

    def page(self) -> Page[T]:
        """The first page."""
        return self._portal.run(self._wire.ask(self._first))

    def pages(self) -> Iterator[Page[T]]:
        call: Call[Page[T]] | None = self._first
        while call is not None:
            page = self._portal.run(self._wire.ask(call))
            yield page
            call = page.next

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items
