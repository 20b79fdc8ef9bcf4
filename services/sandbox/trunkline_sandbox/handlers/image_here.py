"""Images that another site built and that are needed here: built here too, under the same name, once however many need it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from trunkline.contracts.errors import DomainError
from trunkline_sandbox.model.image import Failed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Lack:
    """An image that is built, and is not here."""

    image_id: str
    provider: str
    digest: str
    name: str


class ImagesHere:
    """`lack` what is needed, and let `run` run."""

    def __init__(self, pause_s: float) -> None:
        """`pause_s`: after a failure, until it is tried again."""
        self._pause_s = pause_s
        self._due: dict[str, Lack] = {}
        self._failed: dict[str, tuple[Failed, float]] = {}
        self._rung = asyncio.Event()

    def lack(self, lack: Lack) -> Failed | None:
        """Why it cannot be had for now; None: it is being built, and whoever waits is told."""
        if (last := self._failed.get(lack.name)) and time.monotonic() < last[1]:
            return last[0]
        self._due[lack.name] = lack
        self._rung.set()
        return None

    async def run(self, build: Callable[[Lack], Awaitable[Failed | None]], ended: Callable[[], None]) -> None:
        """For ever: build what is lacked, one after the other, and tell of each end."""
        while True:
            await self._rung.wait()
            self._rung.clear()
            while self._due:
                await self._one(build, next(iter(self._due.values())))
                ended()

    async def _one(self, build: Callable[[Lack], Awaitable[Failed | None]], lack: Lack) -> None:
        self._failed = {name: last for name, last in self._failed.items() if time.monotonic() < last[1]}
        try:
            if failed := await build(lack):
                self._failed[lack.name] = failed, time.monotonic() + self._pause_s
        except DomainError as error:
            log.info("image.not_built_here", image=lack.name, error=error.code)  # whoever waits asks again
        del self._due[lack.name]
