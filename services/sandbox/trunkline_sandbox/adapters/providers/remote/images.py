"""Images in a cloud: built there once by their name, whatever becomes of the calls, with their log; old ones go."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import structlog

from trunkline.contracts.errors import DomainError, Invalid, NotFound, Unavailable
from trunkline_sandbox.adapters.providers.local import trees
from trunkline_sandbox.adapters.providers.remote.contexts import stage
from trunkline_sandbox.adapters.providers.remote.image_cloud import Build, ImageCloud, called
from trunkline_sandbox.adapters.providers.remote.options import RemoteOptions
from trunkline_sandbox.model.cloud_steps import copies
from trunkline_sandbox.model.image import Recipe

T = TypeVar("T")
log = structlog.get_logger(__name__)
TRIES: Final = 4
KEPT: Final = 2
"""The one that counts, and the one before for whoever makes a sandbox of it just now."""
SELDOM: Final = 1000
"""Lines of a log, which comes whole each time: as many more, and it is looked at once less in the same time."""
MOST_DROPPED: Final = 20
"""After one build; the next one goes on."""


class CloudImages:
    """image_host.ImageHost; `context` is the folder of the Dockerfile."""

    site = ""

    def __init__(self, cloud: ImageCloud, options: RemoteOptions, context: Path) -> None:
        self._cloud, self._options, self._context = cloud, options, context

    @property
    def name(self) -> str:
        return self._cloud.vendor.id

    def check(self, recipe: Recipe) -> None:
        """Raises Invalid, Unsupported with the line."""
        copies(recipe.text, self._cloud.builder)

    async def build(self, recipe: Recipe, name: str) -> AsyncIterator[str]:
        """Raises Invalid DOCKERFILE_STEP_FAILED with what the cloud says of it; Unavailable, Exhausted, Denied."""
        there, known = self._named(name), 0
        await self._begun(recipe, there)
        yield f"building {there} at {self._cloud.vendor.name}"
        while True:
            build = await self._patiently(lambda: self._seen(there))
            for line in await self._said(build, known):
                known += 1
                yield line
            if build.state != "building":
                break
            await asyncio.sleep(self._options.look_s * (1 + known // SELDOM))
        if build.state == "failed":
            raise _failed(build, self._cloud.vendor.name)
        await self._tidy(there)
        yield f"{there} is built"

    async def has(self, name: str) -> bool:
        """Woken if it is asleep. Raises Unavailable, Denied."""
        build = await self._patiently(lambda: self._cloud.find(self._named(name)), self._options.call_s)
        if build is not None and build.state == "asleep":
            return await self._woken(build)
        return build is not None and build.state == "ready"

    async def discard(self, name: str) -> None:
        """Raises Unavailable, Denied."""
        if build := await self._patiently(lambda: self._cloud.find(self._named(name)), self._options.call_s):
            await self._patiently(lambda: self._cloud.drop(build), self._options.call_s)

    def _named(self, image: str) -> str:
        return called(self._options.fleet, image)

    async def _begun(self, recipe: Recipe, name: str) -> None:
        """It is there when this returns, whoever began it: a call that failed may have."""
        for attempt in range(1, TRIES + 1):
            try:
                found = await self._cloud.find(name)
                return None if found and found.begun else await self._begin(recipe, name)
            except DomainError as error:
                if attempt == TRIES or not self._cloud.vendor.passes(error):
                    raise
                log.info("image.begun_again", image=name, cloud=self.name, code=error.code, attempt=attempt)
                await asyncio.sleep(self._options.pause(attempt, error))

    async def _begin(self, recipe: Recipe, name: str) -> None:
        folder = self._options.folder / "images" / name
        try:
            dockerfile = await asyncio.to_thread(stage, self._context, recipe, copies(recipe.text, self._cloud.builder), folder)
            await self._cloud.begin(name, dockerfile)
        finally:
            await asyncio.to_thread(trees.remove, folder)

    async def _seen(self, name: str) -> Build:
        build = await self._cloud.find(name)
        if build is None:
            raise NotFound(f"{self._cloud.vendor.name} has no snapshot {name} any more.", code=self._cloud.vendor.codes["not_found"])
        return build

    async def _said(self, build: Build, known: int) -> Sequence[str]:
        """What is new of its log. A log that cannot be had is not worth the build: it is asked for again, at its end some times."""
        for attempt in range(1, TRIES + 1 if build.state != "building" else 2):
            try:
                return await self._cloud.said(build, known)
            except DomainError as error:
                log.info("image.log_missed", image=build.name, cloud=self.name, code=error.code)
                await asyncio.sleep(self._options.pause(attempt, error))
        return ()

    async def _patiently(self, call: Callable[[], Awaitable[T]], seconds: float = 0.0) -> T:
        """Repeated while its cloud fails in a way that passes, for `seconds`; 0: as long as it may be away. Raises Unavailable, Denied."""
        loop = asyncio.get_running_loop()
        end, attempt = loop.time() + (seconds or self._options.away_s), 0
        while True:
            try:
                return await call()
            except DomainError as error:
                attempt += 1
                if not self._cloud.vendor.passes(error):
                    raise
                if loop.time() > end or (isinstance(error, NotFound) and attempt >= TRIES):
                    raise Unavailable(error.message, code=error.code) from error
                await asyncio.sleep(self._options.pause(min(attempt, TRIES), error))

    async def _woken(self, build: Build) -> bool:
        """Whether it became ready in the time that a sandbox has for it."""
        log.info("image.woken", image=build.name, cloud=self.name)
        await self._patiently(lambda: self._cloud.wake(build), self._options.call_s)
        loop = asyncio.get_running_loop()
        end = loop.time() + self._options.boot_s
        while loop.time() < end:
            found = await self._patiently(lambda: self._cloud.find(build.name), self._options.call_s)
            if found is None or found.state in ("ready", "failed"):
                return found is not None and found.state == "ready"
            await asyncio.sleep(self._options.look_s)
        return False

    async def _tidy(self, name: str) -> None:
        """Drop what is older than `name`, but for the newest that can be used. What resists is left for the next build."""
        try:
            older = sorted((one for one in await self._cloud.images() if one.name < name), key=lambda one: one.name)
        except DomainError as error:
            log.info("image.not_tidied", cloud=self.name, code=error.code, error=error.message)
            return
        usable = [one for one in older if one.state in ("ready", "asleep")]
        useless = [one for one in older if one not in usable[1 - KEPT :]]
        for one in random.sample(useless, min(len(useless), MOST_DROPPED)):  # those that resist must not be all that is tried
            await self._drop(one)

    async def _drop(self, build: Build) -> None:
        """Some clouds let nothing go of which a sandbox that rests was made."""
        try:
            await self._cloud.drop(build)
            log.info("image.dropped", image=build.name, cloud=self.name)
        except DomainError as error:
            log.info("image.not_dropped", image=build.name, cloud=self.name, code=error.code, error=error.message)


def _failed(build: Build, cloud: str) -> Invalid:
    return Invalid(f"{cloud} could not build it: {build.why[:1000] or 'it does not say why'}", code="DOCKERFILE_STEP_FAILED")
