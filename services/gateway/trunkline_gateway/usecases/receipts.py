"""Remembers by which connection an agent was answered last: when that one is dead, the answer may never have come."""

from __future__ import annotations

import asyncio
from weakref import ref

from trunkline_gateway.usecases.lately import Lately


class Receipts:
    """Of what is handed out once. Connections are not kept alive by it; what another process answered is not known here."""

    def __init__(self) -> None:
        self._by: Lately[ref[asyncio.BaseTransport]] = Lately()

    def lost(self, name: bytes) -> bool:
        """Whether the answer before this request may be lost, as far as anybody knows."""
        found = self._by.get(name)
        connection = found[0]() if found else None
        return connection is None or connection.is_closing()

    def answered(self, name: bytes, connection: asyncio.BaseTransport | None) -> None:
        if connection is None:
            self._by.drop(name)
        else:
            self._by.put(name, ref(connection), 0.0)
