"""What can be asked about dead letters: look through them, have them tried once more, one or many, or put them aside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trunkline.auth.principal import Principal
from trunkline.contracts.errors import DomainError, NotFound
from trunkline.contracts.letters import (
    MOST_PAGE,
    SERVICE,
    DiscardLetter,
    GetLetter,
    LetterEdit,
    LetterPage,
    LetterState,
    LetterView,
    ListLetters,
    RequeueLetter,
)
from trunkline.contracts.message import Command
from trunkline_gateway.ports import Commands
from trunkline_gateway.usecases import struck

NO_ID: Final = "-"
AT_ONCE: Final = 8
"""Of one wish about many: each may be a task."""
WITHIN: Final = 12.0
"""Seconds for one: a handler is given its time."""


EditOf = Callable[[str], Awaitable[LetterEdit | None]]
"""What of a letter is to be otherwise; may raise any DomainError."""


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one letter among many: how it stands, or why not."""

    letter: str
    view: LetterView | None = None
    refused: DomainError | None = None


@dataclass(frozen=True, slots=True)
class Letters:
    """Every verb about one letter raises NotFound for one that the tenant does not have; each may raise Unavailable."""

    commands: Commands
    now: Callable[[], datetime]

    async def page(self, principal: Principal, query: ListLetters) -> LetterPage:
        """What was given up on last comes first; a page may hold less than was asked for and not be the last. Raises Invalid."""
        return LetterPage.model_validate(await self._told(NO_ID, query.model_copy(update=self._of(principal))))

    async def one(self, principal: Principal, letter: str) -> LetterView:
        """With its body."""
        return LetterView.model_validate(await self._told(NO_ID, GetLetter(**self._of(principal), letter=letter)))

    async def requeue(self, principal: Principal, letter: str, edit: LetterEdit | None, *, id: str) -> LetterView:
        """The same `id` again does nothing more. Raises Conflict, Invalid, and what the owner of what it becomes refuses with."""
        command = RequeueLetter(**self._of(principal), letter=letter, by=principal.subject, wish=id, edit=_clean(edit))
        return LetterView.model_validate(await self._told(NO_ID, command, WITHIN))

    async def requeue_many(self, principal: Principal, letters: Sequence[str], edit: EditOf, *, id: str) -> tuple[Came, ...]:
        """Some at a time, each for itself: what one is refused for says nothing of the others."""
        hands = asyncio.Semaphore(AT_ONCE)

        async def requeue(letter: str) -> Came:
            async with hands:
                try:
                    return Came(letter, await self.requeue(principal, letter, await edit(letter), id=id))
                except DomainError as error:
                    return Came(letter, refused=error)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(requeue(letter)) for letter in dict.fromkeys(letters)]
        return tuple(task.result() for task in tasks)

    async def open(self, principal: Principal, query: ListLetters, most: int) -> tuple[tuple[str, ...], bool]:
        """The ids of those that are open and match, at most so many, and whether there may be more."""
        found: list[str] = []
        after: str | None = None
        while len(found) < most:
            wish = query.model_copy(update={"state": LetterState.OPEN, "limit": min(most - len(found), MOST_PAGE), "after": after})
            page = await self.page(principal, wish)
            found += [view.id for view in page.letters]
            after = page.next
            if after is None:
                break
        return tuple(found), after is not None

    async def discard(self, principal: Principal, letter: str, reason: str, *, id: str) -> LetterView:
        """Raises Conflict for one that somebody dealt with already."""
        command = DiscardLetter(**self._of(principal), letter=letter, by=principal.subject, wish=id, reason=struck.text(reason))
        return LetterView.model_validate(await self._told(NO_ID, command))

    def _of(self, principal: Principal) -> dict[str, Any]:
        return {"tenant": principal.tenant, "at": self.now()}

    async def _told(self, id: str, command: Command, within: float = 10.0) -> Any:
        try:
            return struck.values((await self.commands.send(SERVICE, id, command, timeout=within)).body)
        except NotFound as error:
            raise NotFound(error.message, code=error.code) from None


def _clean(edit: LetterEdit | None) -> LetterEdit | None:
    """Without what has the shape of a secret."""
    if edit is None:
        return None
    values = {name: struck.values(value) for name in ("payload", "metadata", "body") if (value := getattr(edit, name)) is not None}
    texts = {name: struck.text(value) for name in ("prompt", "repo", "branch") if (value := getattr(edit, name)) is not None}
    return edit.model_copy(update={**values, **texts})
