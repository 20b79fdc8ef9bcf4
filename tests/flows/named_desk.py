"""Named sandboxes on a real bus with a provider that may be told to fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from tests.conformance.sandbox.stand_in import Cloud
from trunkline.bus import Bus, BusSettings, connect
from trunkline.bus.vital import vital
from trunkline.contracts.message import Command
from trunkline.contracts.sandbox import (
    DeleteSandbox,
    EnsureSandbox,
    GetSandbox,
    ListSandboxes,
    SandboxPage,
    SandboxStatus,
    SandboxTerms,
    SandboxView,
    StartSandbox,
    StopSandbox,
)
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline_sandbox.handlers.images import ImageMeans
from trunkline_sandbox.handlers.named import NamedMeans, Sandboxes, put_together
from trunkline_sandbox.handlers.named_book import Key, key_of
from trunkline_sandbox.handlers.named_carry import Waits
from trunkline_sandbox.handlers.named_host import NamedHost
from trunkline_sandbox.handlers.named_sites import LOST_S
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.subscriptions import answer_others, subscribe_images, subscribe_named

QUICK = Waits(make_s=20, start_s=20, stop_s=20, tries=3, pause_s=0.01, poll_s=0.01)
PATIENCE = 30.0
NO_TERMS = SandboxTerms()
NO_IMAGES = ImageMeans()


@dataclass(frozen=True, slots=True)
class Desk:
    bus: Bus
    named: Sandboxes
    cloud: Cloud
    tenant: str

    async def send(self, command: Command) -> SandboxView:
        accepted = await self.bus.commands.send("sandbox", "-", command)
        return SandboxView.model_validate(accepted.body)

    async def ensure(
        self, user: str = "ann", *, terms: SandboxTerms = NO_TERMS, reuse: bool = True, owner: str | None = None
    ) -> SandboxView:
        command = EnsureSandbox(
            tenant=self.tenant, at=now(), sandbox_id=f"sbx-{new_id()}", user=user, terms=terms, by=owner or "key", owner=owner, reuse=reuse
        )
        return await self.send(command)

    async def get(self, sandbox_id: str) -> SandboxView:
        return await self.send(GetSandbox(tenant=self.tenant, at=now(), sandbox_id=sandbox_id))

    async def start(self, sandbox_id: str) -> SandboxView:
        return await self.send(StartSandbox(tenant=self.tenant, at=now(), sandbox_id=sandbox_id))

    async def stop(self, sandbox_id: str) -> SandboxView:
        return await self.send(StopSandbox(tenant=self.tenant, at=now(), sandbox_id=sandbox_id))

    async def delete(self, sandbox_id: str) -> SandboxView:
        return await self.send(DeleteSandbox(tenant=self.tenant, at=now(), sandbox_id=sandbox_id))

    async def listed(self, **asked: object) -> SandboxPage:
        command = ListSandboxes.model_validate({"tenant": self.tenant, "at": now(), **asked})
        return SandboxPage.model_validate((await self.bus.commands.send("sandbox", "-", command)).body)

    async def until(self, sandbox_id: str, *statuses: SandboxStatus) -> SandboxView:
        deadline = time.monotonic() + PATIENCE
        while (view := await self.get(sandbox_id)).status not in statuses:
            assert time.monotonic() < deadline, f"{sandbox_id} is still {view.status}: {view.error}"
            await asyncio.sleep(0.02)
        return view

    async def ready(self, user: str = "ann", terms: SandboxTerms = NO_TERMS) -> SandboxView:
        return await self.until((await self.ensure(user, terms=terms)).sandbox_id, SandboxStatus.READY)

    def means(self, caps: Caps) -> NamedMeans:
        """Of another replica beside this one."""
        return means(self.cloud, caps)

    def key(self, sandbox_id: str) -> Key:
        return key_of(f"evt.{self.tenant}.{sandbox_id}.sandbox")


def means(host: NamedHost, caps: Caps, site_lost_s: float = LOST_S) -> NamedMeans:
    images = ImageMeans(provider=host.name)
    return NamedMeans({host.name: host}, replace(caps, provider=host.name), QUICK, images, site_lost_s)


async def eventually(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


@asynccontextmanager
async def desk(
    url: str,
    caps: Caps = Caps(),  # noqa: B008  # frozen
    waits: Waits = QUICK,
    images: ImageMeans = NO_IMAGES,
) -> AsyncIterator[Desk]:
    """Its provider has a name of its own, so that no desk acts on what another one made."""
    cloud = Cloud(name=f"cloud-{new_id()[-8:]}")
    async with at(url, cloud, replace(caps, provider=cloud.name), waits, images) as here:
        yield replace(here, cloud=cloud)


@asynccontextmanager
async def at(url: str, host: NamedHost, caps: Caps, waits: Waits = QUICK, images: ImageMeans = NO_IMAGES) -> AsyncIterator[Desk]:
    """At a provider of the test's own."""
    means = NamedMeans({host.name: host}, replace(caps, provider=host.name), waits, images)
    async with replica(url, means) as (bus, named):
        yield Desk(bus, named, Cloud(), f"t-{new_id()[-8:]}")


@asynccontextmanager
async def replica(url: str, means: NamedMeans) -> AsyncIterator[tuple[Bus, Sandboxes]]:
    """One process of the sandbox service, as far as named sandboxes go."""
    async with connect(BusSettings(nats_url=url), "sandbox") as bus:
        named = put_together(bus, means, now)
        await named.start()
        subscribe_named(bus.inlet, named)
        subscribe_images(bus.inlet, named)
        answer_others(bus.inlet, named, means.hosts)
        await bus.inlet.start("sandbox")
        async with vital(named.book.run, named.errands.run):
            yield bus, named
