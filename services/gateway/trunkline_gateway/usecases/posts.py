"""Remembers whose posts were answered, and which answers were surely had: a connection asks on only when it brought the one before."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from weakref import WeakKeyDictionary, WeakSet, ref

from trunkline_gateway.usecases.lately import Lately


class Post(NamedTuple):
    """Words of one agent, by their digest, and the message that they became."""

    words: bytes
    message: str


class Posts:
    """Connections are not kept alive by it; what another process answered is not known here, and counts as not had."""

    def __init__(self) -> None:
        self._had: Lately[str] = Lately()
        self._by: Lately[tuple[str, ref[asyncio.BaseTransport] | None]] = Lately()
        """By words, the newest message that they became, and the connection of its answer; None where they came again, or with others."""
        self._answered: WeakKeyDictionary[asyncio.BaseTransport, Post] = WeakKeyDictionary()
        self._known: WeakSet[asyncio.BaseTransport] = WeakSet()
        self._said: Counter[bytes] = Counter()
        self._crowded: set[bytes] = set()

    @contextmanager
    def saying(self, agent: bytes) -> Iterator[Callable[[], bool]]:
        """While a post of this agent is seen to. Gives what tells whether it said nothing else meanwhile."""
        self._said[agent] += 1
        if self._said[agent] > 1:
            self._crowded.add(agent)
        try:
            yield lambda: agent not in self._crowded
        finally:
            self._said[agent] -= 1
            if not self._said[agent]:
                del self._said[agent]
                self._crowded.discard(agent)

    def asked(self, connection: asyncio.BaseTransport | None) -> bool:
        """One more request came by this connection. Whether one had come before."""
        if connection is None:
            return False
        if post := self._answered.pop(connection, None):
            self._had.put(post.words, post.message, 0.0)
        before = connection in self._known
        self._known.add(connection)
        return before

    def heard(self, words: bytes, *, spare: bool = False) -> str:
        """The newest message of these words whose answer was had; empty where nobody knows of any.

        `spare`: they come alone, by a connection that was there before: who holds several takes turns with them."""
        if spare and (brought := self._brought(words)):
            self._had.put(words, brought, 0.0)
        found = self._had.get(words)
        return found[0] if found else ""

    def _brought(self, words: bytes) -> str:
        """The message whose answer went by a connection that lives: who loses an answer closes what it was lost on."""
        by = self._by.get(words)
        message, line = by[0] if by else ("", None)
        connection = line() if line else None
        return "" if connection is None or connection.is_closing() else message

    def answered(self, post: Post, connection: asyncio.BaseTransport | None, *, last: bool, alone: bool = False) -> None:
        """`last`: nothing more is to come by this connection, as its caller wished. `alone`: it said nothing else meanwhile."""
        if last:
            self._had.put(post.words, post.message, 0.0)
        elif connection:
            self._answered[connection] = post
            before = self._by.get(post.words)
            first = before is None or before[0][0] != post.message
            self._by.put(post.words, (post.message, ref(connection) if first and alone else None), 0.0)
