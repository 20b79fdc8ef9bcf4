"""The starts that this process makes ahead: at most one for a sandbox, none of them waited for by who does not need it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local.ahead import Ahead
from trunkline_sandbox.adapters.providers.local.inside.runner import AHEAD_MS

log = structlog.get_logger(__name__)


class StartsAhead:
    """What is not taken is dropped; what is dropped sends away who waits."""

    def __init__(self) -> None:
        self._made: dict[SandboxId, asyncio.Future[Ahead | None]] = {}

    def begin(self, id: SandboxId, make: Callable[[], Ahead | None]) -> None:
        """One that was begun already is left alone."""
        if id not in self._made:
            loop = asyncio.get_running_loop()
            making = self._made[id] = loop.run_in_executor(None, _tried, make)
            loop.call_later(AHEAD_MS / 1000, self._outlive, id, making)

    async def made(self, id: SandboxId) -> Ahead | None:
        """Waits until it is made, or cannot be. It is still ours."""
        making = self._made.get(id)
        return await asyncio.shield(making) if making else None

    def take(self, id: SandboxId) -> Ahead | None:
        """What is made by now; from here on it is the caller's, who may be in any thread."""
        making = self._made.get(id)
        if making is None or not making.done():
            return None
        return making.result() if self._made.pop(id, None) is making else None

    def drop(self, id: SandboxId) -> None:
        making = self._made.pop(id, None)
        if making and making.done():
            _close(making)
        elif making:
            making.add_done_callback(_close)

    def _outlive(self, id: SandboxId, making: asyncio.Future[Ahead | None]) -> None:
        """Nobody took it, as where its run was put aside: by now nobody waits for the word."""
        if self._made.get(id) is making:
            self.drop(id)

    def close(self) -> None:
        for id in list(self._made):
            self.drop(id)


def _tried(make: Callable[[], Ahead | None]) -> Ahead | None:
    try:
        return make()
    except Exception as error:  # the start itself tells what is wrong, if it still is
        log.info("sandbox.not_started_ahead", error=f"{type(error).__name__}: {error}")
        return None


def _close(making: asyncio.Future[Ahead | None]) -> None:
    if not making.cancelled() and (ahead := making.result()):
        ahead.close()
