"""What follows from the facts of named sandboxes: work at their provider, the clock that looks at them, and what is added up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

from trunkline.bus import PassOn, Stored, Timers
from trunkline.contracts.ids import SandboxId, Token
from trunkline.contracts.message import Command
from trunkline.contracts.sandbox import (
    SandboxBroke,
    SandboxDeleteWanted,
    SandboxFound,
    SandboxIsReady,
    SandboxStartWanted,
    SandboxStopWanted,
    SandboxUsed,
    SandboxWanted,
)
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.named_book import Book, Key, key_of
from trunkline_sandbox.handlers.named_carry import Carry
from trunkline_sandbox.handlers.named_minutes import Minutes, MinutesCap
from trunkline_sandbox.model.named import Phase
from trunkline_sandbox.model.named_cues import Rung

TO_DO: Final = (SandboxWanted, SandboxStartWanted, SandboxStopWanted, SandboxDeleteWanted, SandboxBroke)
PASSED_ON_S: Final = 60.0
"""For so long what others are to do is passed on; then their own pass finds it, and those who are away keep nobody else's facts waiting."""
CLOCKED: Final = (SandboxWanted, SandboxIsReady, SandboxFound)
NEWS: Final = (*TO_DO, SandboxIsReady, SandboxFound, SandboxUsed)


class NamedDue(Command):
    """The clock's word: look at one sandbox."""

    type: Literal["named"] = "named"
    sandbox_id: Token


class NamedNews:
    """Everything here may happen twice."""

    def __init__(self, book: Book, carry: Carry, minutes: tuple[Minutes, MinutesCap], timers: Timers, now: Callable[[], datetime]) -> None:
        self._book = book
        self._carry = carry
        self._minutes, self._cap = minutes
        self._timers = timers
        self._now = now

    async def on(self, stored: Stored) -> None:
        """Raises Unavailable; PassOn when its provider is one of other services alone."""
        key, record = key_of(stored.subject), stored.record
        acts = any(isinstance(fact, TO_DO) for fact in record.facts)
        fresh = (self._now() - record.at).total_seconds() < PASSED_ON_S
        if acts and fresh and await self._carry.passes_on(key):
            raise PassOn
        for index, fact in enumerate(record.facts):
            if isinstance(fact, SandboxUsed):
                await self._minutes.add(key.tenant, record.at, fact, f"{key.id}-{stored.seq}-{index}")
        if any(isinstance(fact, SandboxWanted) for fact in record.facts):
            faultpoint("named.wanted")
        if acts:
            await self._carry.drive(key)
        if any(isinstance(fact, CLOCKED) for fact in record.facts):
            await self._set_clock(key)

    async def due(self, wake: NamedDue) -> None:
        """Raises Unavailable."""
        key = Key(wake.tenant, SandboxId(wake.sandbox_id))
        await self._book.try_receive(key, Rung(at := self._now()), at, "clock")
        await self._cap.hold(key.tenant)
        await self._set_clock(key)

    async def _set_clock(self, key: Key) -> None:
        named = await self._book.look(key)
        if named is None:
            return
        ends = await self._cap.ends_at(key.tenant) if named.phase is Phase.READY else None
        due = min((at for at in (named.next_due, ends) if at), default=None)
        if due is not None:
            wake = NamedDue(tenant=key.tenant, at=due, sandbox_id=key.id)
            await self._timers.set("named", key.id, max(due, self._now()), ("sandbox", wake.type), wake)
