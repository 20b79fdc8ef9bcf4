"""Remembers whose posts were answered, and which answers were surely had: a connection asks on only when it brought the one before."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from weakref import WeakKeyDictionary

from trunkline_gateway.usecases.lately import Lately


class Post(NamedTuple):
    """Words of one agent, by their digest, and the message that they became."""

    words: bytes
    message: str


class Posts:
    """Connections are not kept alive by it; what another process answered is not known here, and counts as not had."""

    def __init__(self) -> None:
        self._had: Lately[str] = Lately()
        self._answered: WeakKeyDictionary[asyncio.BaseTransport, Post] = WeakKeyDictionary()

    def asked(self, connection: asyncio.BaseTransport | None) -> None:
        """One more request came by this connection."""
        post = self._answered.pop(connection, None) if connection else None
        if post:
            self._had.put(post.words, post.message, 0.0)

    def heard(self, words: bytes) -> str:
        """The newest message of these words whose answer was had; empty where nobody knows of any."""
        found = self._had.get(words)
        return found[0] if found else ""

    def answered(self, post: Post, connection: asyncio.BaseTransport | None, *, last: bool) -> None:
        """`last`: nothing more is to come by this connection, as its caller wished."""
        if last:
            self._had.put(post.words, post.message, 0.0)
        elif connection:
            self._answered[connection] = post
