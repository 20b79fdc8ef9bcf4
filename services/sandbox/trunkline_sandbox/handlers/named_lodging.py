"""A named sandbox as the place of a run: ready before anything is started in it, and in use until that has ended."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from trunkline.contracts.errors import Conflict, DomainError, NotFound, Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline.contracts.sandbox import SandboxStatus, StartSandbox
from trunkline_sandbox.handlers.named_answer import AnswerNamed
from trunkline_sandbox.handlers.named_book import Book, Key
from trunkline_sandbox.model.named import Named
from trunkline_sandbox.model.named_cues import Touch

log = structlog.get_logger()

START_S: Final = 60.0
BY: Final = "run"
TOUCH_S: Final = 60.0
_LOOKS: Final = 0.02, 0.05, 0.1, 0.2, 0.5


class Lodging:
    def __init__(self, book: Book, answer: AnswerNamed, now: Callable[[], datetime], start_s: float = START_S) -> None:
        self._book = book
        self._answer = answer
        self._now = now
        self._start_s = start_s

    async def ready(self, tenant: str, sandbox: str) -> Named:
        """The sandbox, started if it was stopped; however many ask, it is started once.

        Raises NotFound SANDBOX_NOT_FOUND, Conflict SANDBOX_NOT_READY, Unavailable SANDBOX_RESTART_FAILED, Exhausted.
        """
        key, until, looks = Key(tenant, SandboxId(sandbox)), time.monotonic() + self._start_s, 0
        while True:
            named = await self._look(key)
            if named.status is SandboxStatus.READY:
                return named
            if named.status is SandboxStatus.STOPPED:
                await self._answer.start(StartSandbox(tenant=tenant, at=self._now(), sandbox_id=sandbox, by=BY))
            if time.monotonic() > until:
                why = f"the sandbox was not ready within {self._start_s:g} s; try again, or create another one"
                raise Unavailable(why, code="SANDBOX_RESTART_FAILED")
            await asyncio.sleep(_LOOKS[min(looks, len(_LOOKS) - 1)] * random.uniform(0.8, 1.2))
            looks += 1

    async def _look(self, key: Key) -> Named:
        named = await self._book.look(key)
        if named is None or named.over:
            raise NotFound("the sandbox is not there any more; create another one", code="SANDBOX_NOT_FOUND")
        if named.status is SandboxStatus.ERROR:
            raise Conflict(f"the sandbox is in error ({named.code}): {named.error}; create another one", code="SANDBOX_NOT_READY")
        return named

    async def away(self, tenant: str, sandbox: str) -> str:
        """Why nobody can work in it now, as a sentence; empty: one can. Raises Unavailable."""
        named = await self._book.look(Key(tenant, SandboxId(sandbox)))
        if named and named.status is SandboxStatus.READY:
            return ""
        how = "deleted" if named is None or named.over else "stopped" if named.status is SandboxStatus.STOPPED else f"gone ({named.code})"
        return f"the sandbox was {how} while the job worked in it; ask again in one that stays"

    async def used(self, tenant: str, sandbox: str) -> None:
        """For ever: its idle time does not pass."""
        key = Key(tenant, SandboxId(sandbox))
        while True:
            pause = TOUCH_S
            try:
                named = await self._book.receive(key, Touch(now := self._now()), now, BY)
                idle = named.wanted.terms.idle_s if named else None
                pause = min(TOUCH_S, idle / 4) if idle else TOUCH_S
            except DomainError as error:  # gone, or the bus is away: what works there will tell
                log.info("named.not_touched", sandbox=sandbox, error=error.code)
            await asyncio.sleep(max(0.2, pause) * random.uniform(0.8, 1.0))
