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
from trunkline.contracts.sandbox import EnsureSandbox, GetSandbox, SandboxStatus, SandboxTerms, SandboxView
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline_sandbox.handlers.named import NamedMeans, Sandboxes, put_together
from trunkline_sandbox.handlers.named_book import Key, key_of
from trunkline_sandbox.handlers.named_carry import Waits
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.subscriptions import subscribe_named

QUICK = Waits(make_s=20, start_s=20, stop_s=20, tries=3, pause_s=0.01, poll_s=0.01)
PATIENCE = 30.0
NO_TERMS = SandboxTerms()


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

    async def until(self, sandbox_id: str, *statuses: SandboxStatus) -> SandboxView:
        deadline = time.monotonic() + PATIENCE
        while (view := await self.get(sandbox_id)).status not in statuses:
            assert time.monotonic() < deadline, f"{sandbox_id} is still {view.status}: {view.error}"
            await asyncio.sleep(0.02)
        return view

    async def ready(self, user: str = "ann", terms: SandboxTerms = NO_TERMS) -> SandboxView:
        return await self.until((await self.ensure(user, terms=terms)).sandbox_id, SandboxStatus.READY)

    def key(self, sandbox_id: str) -> Key:
        return key_of(f"evt.{self.tenant}.{sandbox_id}.sandbox")


async def eventually(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


@asynccontextmanager
async def desk(url: str, caps: Caps = Caps(), waits: Waits = QUICK) -> AsyncIterator[Desk]:  # noqa: B008  # frozen
    """Its provider has a name of its own, so that no desk acts on what another one made."""
    cloud = Cloud(name=f"cloud-{new_id()[-8:]}")
    async with connect(BusSettings(nats_url=url), "sandbox") as bus:
        means = NamedMeans({cloud.name: cloud}, replace(caps, provider=cloud.name), waits)
        named = put_together(bus, means, now)
        await named.book.start()
        subscribe_named(bus.inlet, named)
        await bus.inlet.start("sandbox")
        async with vital(named.book.run):
            yield Desk(bus, named, cloud, f"t-{new_id()[-8:]}")
