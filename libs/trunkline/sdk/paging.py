"""Lists whose pages are asked for as they are needed, for programs that are asynchronous themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from trunkline.sdk.calls import Call, Page
from trunkline.sdk.wire import Wire

T = TypeVar("T")


class AsyncList(Generic[T]):
    """Iterated, every item of every page; awaited, the first page with the `total`. Raises TrunklineError."""

    def __init__(self, wire: Wire, first: Call[Page[T]]) -> None:
        self._wire = wire
        self._first = first

    async def page(self) -> Page[T]:
        """The first page."""
        return await self._wire.ask(self._first)

    async def pages(self) -> AsyncIterator[Page[T]]:
        call: Call[Page[T]] | None = self._first
        while call is not None:
            page = await self._wire.ask(call)
            yield page
            call = page.next

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item
