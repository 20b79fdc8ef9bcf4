"""Which named sandboxes there are, page by page, and what they used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Accepted
from trunkline.contracts.sandbox import ListSandboxes, SandboxPage, SandboxUsage
from trunkline_sandbox.handlers.named_book import Book, Key
from trunkline_sandbox.handlers.named_minutes import Minutes
from trunkline_sandbox.model.named import Named, view

_CURSOR: Final = re.compile(r"([0-9]{1,20})\.([A-Za-z0-9_-]{1,64})")
Place = tuple[int, str]
"""Microseconds since the epoch and the id: unlike an offset it stays where it is while new ones come."""


class NamedPages:
    def __init__(self, book: Book, minutes: Minutes) -> None:
        self._book = book
        self._minutes = minutes

    async def list(self, command: ListSandboxes) -> Accepted:
        """The body is a SandboxPage. Raises Invalid BAD_CURSOR."""
        before = _read(command.cursor) if command.cursor else None
        fitting = sorted(_fitting(self._book, command), key=lambda found: _place(*found), reverse=True)
        left = [found for found in fitting if before is None or _place(*found) < before]
        shown = left[: command.limit]
        page = SandboxPage(
            sandboxes=tuple(view(key.id, named) for key, named in shown),
            total=len(fitting),
            next="{}.{}".format(*_place(*shown[-1])) if len(left) > len(shown) else None,
        )
        return Accepted(seq=0, body=page.model_dump(mode="json"))

    async def usage(self, command: SandboxUsage) -> Accepted:
        """The body is a SandboxUsageView. Raises Unavailable."""
        return Accepted(seq=0, body=(await self._minutes.view(command.tenant, command.day)).model_dump(mode="json"))


def _fitting(book: Book, command: ListSandboxes) -> Iterator[tuple[Key, Named]]:
    for key, named in book.of(command.tenant):
        wanted = named.wanted
        asked = command.owner in (None, wanted.by) and command.user in (None, wanted.user) and command.status in (None, named.status)
        if not named.over and asked and command.labels.items() <= wanted.terms.labels.items():
            yield key, named


def _place(key: Key, named: Named) -> Place:
    return round(named.made_at.timestamp() * 1e6), key.id


def _read(cursor: str) -> Place:
    found = _CURSOR.fullmatch(cursor)
    if not found:
        raise Invalid("this cursor is none of ours; begin with the first page", code="BAD_CURSOR")
    return int(found[1]), found[2]
