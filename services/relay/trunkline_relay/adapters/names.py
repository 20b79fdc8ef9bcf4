"""Which addresses a name has, as the system knows it at that moment."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from aiohttp.abc import ResolveResult

NAMES_AT_ONCE: Final = 64
WITHIN: Final = 3.0
"""Seconds for a look at a name while somebody waits for the answer to a command."""


class Resolver:
    """Names as the system knows them, asked for at each new connection; numbers written oddly come out as addresses too.

    However many wait for one name, it is asked for once: one whose servers are slow takes no more than one thread.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(NAMES_AT_ONCE, "webhook-names")
        self._asked: dict[tuple[str, int, int], asyncio.Future[list[ResolveResult]]] = {}

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        key = host, port, int(family)
        if key not in self._asked:
            flight = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host, port, family)
            self._asked[key] = flight
            flight.add_done_callback(lambda done: (self._asked.pop(key), done.cancelled() or done.exception()))
        return await asyncio.shield(self._asked[key])

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str, port: int, family: int) -> list[ResolveResult]:
    return [
        ResolveResult(hostname=host, host=str(at[0]), port=int(at[1]), family=kind, proto=proto, flags=socket.AI_NUMERICHOST)
        for kind, _, proto, _, at in socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    ]


class SystemNames:
    """ports.Names."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def addresses(self, host: str) -> Sequence[str]:
        try:
            async with asyncio.timeout(WITHIN):
                return [str(found["host"]) for found in await self._resolver.resolve(host)]
        except (OSError, UnicodeError, TimeoutError):  # of which the first two are how the system says that there is none
            return []


@asynccontextmanager
async def system_names() -> AsyncIterator[SystemNames]:
    resolver = Resolver()
    try:
        yield SystemNames(resolver)
    finally:
        await resolver.close()
