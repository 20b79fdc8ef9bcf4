"""Builds an image that is wanted, with its log on the timeline of the image; whoever was ended in the middle is gone on from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Final, cast

import structlog

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.errors import DomainError, NotFound, Unavailable
from trunkline.contracts.image import LONGEST_LINE, Drop, ImageWanted
from trunkline.runtime.alongside import alongside
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.image_here import Lack
from trunkline_sandbox.handlers.image_host import ImageHost
from trunkline_sandbox.handlers.image_log import Said
from trunkline_sandbox.handlers.images import FAILED, Images
from trunkline_sandbox.model.image import Built, Failed, Image, Invalidate, Recipe, builds, stands

log = structlog.get_logger()

LOOKS_S: Final = 2.0
Counts = Callable[[Image | None, str], bool]
"""Whether what is built under a name is still wanted."""


class BuildImage:
    def __init__(self, images: Images, events: Log, now: Callable[[], datetime]) -> None:
        self._images = images
        self._events = events
        self._now = now

    async def build(self, id: str, wanted: ImageWanted) -> None:
        """Nothing is done for a build that counts no more. Raises Unavailable when the bus is away."""
        host, recipe = self._images.means.hosts.get(wanted.provider), self._recipe()
        if not builds(await self._images.look(id), wanted.name):
            await self._discard(host, wanted.name)
            return
        if host is None or recipe is None or recipe.digest != wanted.digest:
            await self._discard(host, wanted.name)
            await self._images.receive(id, Invalidate(Drop.CHANGED, wanted.name), Drop.CHANGED)
            return
        log.info("image.building", image=wanted.name, provider=wanted.provider)
        failed = await self._tried(id, host, recipe, wanted.name, builds)
        faultpoint("image.built.before_record")
        if failed and await _there(host, wanted.name):
            failed = None  # another replica was thought dead, and was not
        if failed:
            await self._discard(host, wanted.name)
            log.warning("image.failed", image=wanted.name, code=failed.code, error=failed.error)
        await self._images.receive(id, failed or Built(wanted.name, host.site), "build")

    async def here(self, lack: Lack) -> Failed | None:
        """What another site built, built here too, as long as it counts; why not. Raises Unavailable when the bus is away."""
        host, recipe = self._images.means.hosts.get(lack.provider), self._recipe()
        if host is None or recipe is None or recipe.digest != lack.digest:
            return None  # whoever waits needs another one by now
        log.info("image.building_here", image=lack.name, provider=lack.provider, site=host.site)
        failed = await self._tried(lack.image_id, host, recipe, lack.name, stands)
        if failed:
            await self._discard(host, lack.name)
            log.warning("image.failed_here", image=lack.name, code=failed.code, error=failed.error)
        return failed

    def _recipe(self) -> Recipe | None:
        try:
            return self._images.means.dockerfile.read()
        except NotFound:
            return None

    async def _tried(self, id: str, host: ImageHost, recipe: Recipe, name: str, counts: Counts) -> Failed | None:
        """Why it is not there; None when it is."""
        strike, most = self._images.means.strike, self._images.means.build_s
        said = Said(self._events, (subjects.image_log(self._images.means.tenant, id), name), strike, self._now)
        await said.start()
        try:
            async with asyncio.timeout(most):
                await alongside(alongside(_spoken(host, recipe, name, said), said.run()), self._while(counts, id, name))
        except TimeoutError:
            return Failed(name, "SNAPSHOT_TIMEOUT", f"it was not built within {most:g} s; `snapshot_build_s` is what it may take")
        except _Dropped:
            return Failed(name, FAILED, "another one is wanted by now")
        except DomainError as error:
            return Failed(name, error.code, strike(error.message)[:LONGEST_LINE])
        except Exception as error:  # whatever goes wrong is said of the image, and is not the end of the service
            log.exception("image.broke", image=name)
            return Failed(name, FAILED, f"the provider failed: {type(error).__name__}")
        finally:
            await said.flush()
        return None

    async def _while(self, counts: Counts, id: str, name: str) -> None:
        """Raises _Dropped as soon as the build counts no more."""
        while True:
            await asyncio.sleep(LOOKS_S)
            try:
                if not counts(await self._images.look(id), name):
                    raise _Dropped
            except Unavailable as error:
                log.info("image.not_looked_at", image=name, error=error.code)

    async def _discard(self, host: ImageHost | None, name: str) -> None:
        try:
            if host:
                await host.discard(name)
        except Exception as error:  # the next build clears it away
            log.warning("image.not_discarded", image=name, error=f"{type(error).__name__}: {error}")


class _Dropped(Exception):
    """Nobody wants this build any more."""


async def _there(host: ImageHost, name: str) -> bool:
    """Where that cannot be asked, what failed has failed."""
    try:
        return await host.has(name)
    except DomainError as error:
        log.info("image.not_looked_for", image=name, error=error.code)
        return False


async def _spoken(host: ImageHost, recipe: Recipe, name: str, said: Said) -> None:
    async with aclosing(cast(AsyncGenerator[str, None], host.build(recipe, name))) as lines:
        async for line in lines:
            said.add(line)
