"""The image that named sandboxes begin with: which one it is now, whether it is there, and that it is built when it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.errors import Broken, DomainError, NotFound, Unsupported
from trunkline.contracts.ids import TenantId
from trunkline.contracts.image import Drop, GetImage, ImageStatus, ImageView, InvalidateImages
from trunkline.contracts.message import Accepted
from trunkline.runtime.actor import Actor
from trunkline_sandbox.handlers.image_here import ImagesHere, Lack
from trunkline_sandbox.handlers.image_host import Dockerfile, ImageHost, Strike
from trunkline_sandbox.model.image import Cue, DecideImage, Image, Invalidate, Need, Phase, Recipe, evolve, image_id

log = structlog.get_logger()

NONE: Final = ""
"""In the place of a name: sandboxes begin with nothing."""
HOME: Final = TenantId("public")
FAILED: Final = "SNAPSHOT_BUILD_FAILED"


@dataclass(frozen=True, slots=True)
class ImageMeans:
    """What images stand on. Nobody's tenant owns them: they lie with `tenant`, the installation's own. Times in seconds."""

    dockerfile: Dockerfile = field(default_factory=Dockerfile)
    hosts: Mapping[str, ImageHost] = field(default_factory=dict)
    provider: str = "local"
    """The usual one, which is meant where none is named."""
    tenant: TenantId = HOME
    build_s: float = 1800.0
    pause_s: float = 60.0
    strike: Strike = str


class Images:
    def __init__(self, log: Log, means: ImageMeans, now: Callable[[], datetime]) -> None:
        self.means = means
        self._log = log
        self._now = now
        self._decide = DecideImage(means.pause_s, means.build_s)
        self._actor: Actor[Image, Cue] = Actor(log, self._decide, evolve)
        self.here = ImagesHere(means.pause_s)
        self.standing: set[str] = set()
        """The ids of those that count, of whatever Dockerfile and provider, a moment old."""

    async def admit(self, provider: str) -> None:
        """Whether a sandbox may be made there at all, as far as it is known. Raises Unsupported PROVIDER_CANNOT, Broken."""
        recipe = self._recipe()
        if recipe is None:
            return
        self._host(provider, recipe)
        self._check(await self._look(provider, recipe))

    async def ready(self, provider: str) -> str | None:
        """The image that a new sandbox begins with; NONE: with none; None: it is being built, and whoever waits is told.

        Raises Unsupported PROVIDER_CANNOT, Broken SNAPSHOT_BUILD_FAILED, Unavailable.
        """
        recipe = self._recipe()
        if recipe is None:
            return NONE
        host = self._host(provider, recipe)
        image = await self._needed(provider, recipe)
        if image.phase is Phase.BUILT and await _misses(host, image.name):
            if image.site not in ("", host.site):
                self._lacked(Lack(image_id(provider, recipe.digest), provider, recipe.digest, image.name))
                return None
            await self._dropped(provider, recipe, image.name)
            image = await self._needed(provider, recipe)
        self._check(image)
        return image.name if image.phase is Phase.BUILT else None

    def _lacked(self, lack: Lack) -> None:
        """Another site has it, and it is built here too. Raises Broken while that failed a moment ago."""
        if failed := self.here.lack(lack):
            raise _failed(failed.error, reason=failed.code)

    async def lost(self, provider: str, name: str) -> None:
        """Its provider refuses to make a sandbox of it, whatever it says: whoever needs one next builds another. Raises Unavailable."""
        try:
            recipe = self.means.dockerfile.read()
        except NotFound:
            return
        if recipe:
            await self._dropped(provider, recipe, name)

    async def _dropped(self, provider: str, recipe: Recipe, name: str) -> None:
        log.warning("image.lost", image=name, provider=provider)
        await self.receive(image_id(provider, recipe.digest), Invalidate(Drop.LOST, name), Drop.LOST)

    async def _needed(self, provider: str, recipe: Recipe) -> Image:
        image = await self.receive(image_id(provider, recipe.digest), Need(self._now(), provider, recipe.digest), "need")
        assert image is not None
        return image

    async def invalidate(self, command: InvalidateImages) -> Accepted:
        """Raises Unavailable, Broken SNAPSHOT_BUILD_FAILED when the Dockerfile cannot be read."""
        recipe = self._recipe()
        ours = {image_id(provider, recipe.digest) for provider in self.means.hosts} if recipe else set()
        for id in sorted(self.standing | ours):  # other services have other providers and Dockerfiles, and may be away now
            await self.receive(id, Invalidate(Drop.ASKED, by=command.by), command.type)
        log.info("image.invalidated", by=command.by, tenant=command.tenant)
        return Accepted(seq=0)

    async def get(self, command: GetImage) -> Accepted:
        """Raises Unavailable."""
        return Accepted(seq=0, body=(await self._shown()).model_dump(mode="json"))

    async def _shown(self) -> ImageView:
        provider, tenant = self.means.provider, self.means.tenant
        try:
            recipe = self.means.dockerfile.read()
        except NotFound as error:
            return ImageView(tenant=tenant, provider=provider, status=ImageStatus.ERROR, code=error.code, error=error.message)
        if recipe is None:
            return self._decide.view(tenant, NONE, provider, None)
        return self._decide.view(tenant, image_id(provider, recipe.digest), provider, await self._look(provider, recipe))

    async def receive(self, id: str, cue: Cue, cause: str) -> Image | None:
        """The image after `cue`. Raises Unavailable."""
        return (await self._actor.receive(subjects.image(self.means.tenant, id), cue, self._now(), cause)).state

    async def look(self, id: str) -> Image | None:
        """As the log has it now. Raises Unavailable."""
        image: Image | None = None
        for stored in (await self._log.load(subjects.image(self.means.tenant, id))).records:
            for fact in stored.record.facts:
                image = evolve(image, fact, stored.record.at)
        return image

    async def _look(self, provider: str, recipe: Recipe) -> Image | None:
        return await self.look(image_id(provider, recipe.digest))

    def _recipe(self) -> Recipe | None:
        try:
            return self.means.dockerfile.read()
        except DomainError as error:
            raise _failed(error.message) from error

    def _host(self, provider: str, recipe: Recipe) -> ImageHost:
        """Raises Unsupported, Broken."""
        host = self.means.hosts.get(provider)
        if host is None:
            told = f"the provider {provider} builds no snapshot from a Dockerfile here"
            way = "build one there and name it in the settings of the provider, or unset `sandbox_dockerfile`"
            raise Unsupported(f"{told}; {way}", code="PROVIDER_CANNOT", provider=provider)
        try:
            host.check(recipe)
        except DomainError as error:
            raise _failed(self.means.strike(error.message), reason=error.code) from error
        return host

    def _check(self, image: Image | None) -> None:
        """Raises Broken while one that failed is not to be tried again."""
        retry_at = self._decide.retry_at(image) if image else None
        left = (retry_at - self._now()).total_seconds() if retry_at else 0.0
        if image and left > 0:
            raise _failed(f"{image.error} (tried again in {left:.0f} s)", reason=image.code, retry_after=max(1, round(left)))


async def _misses(host: ImageHost, name: str) -> bool:
    """Where that cannot be asked it is taken to be there: the provider says so when a sandbox is made of it, or why it cannot."""
    try:
        return not await host.has(name)
    except DomainError as error:
        log.info("image.not_looked_for", image=name, error=error.code)
        return False


def _failed(why: str, **details: str | int) -> Broken:
    return Broken(f"the snapshot cannot be built: {why}", code=FAILED, **details)
