"""An installation whose sandbox services have several providers: each wish reaches one that has it, whichever service hears it first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.conformance.sandbox.stand_in import Cloud
from tests.flows.named_desk import Desk, eventually, means, replica
from trunkline.bus import Bus, BusSettings, PassOn, Stored, connect
from trunkline.bus.vital import vital
from trunkline.contracts.errors import Invalid, Unavailable
from trunkline.contracts.image import GetImage, ImageView, ImageWanted, InvalidateImages
from trunkline.contracts.record import Record
from trunkline.contracts.sandbox import EnsureSandbox, SandboxStatus, SandboxView, pool_of
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import nats_server
from trunkline_sandbox.handlers import named_hosts
from trunkline_sandbox.handlers.image_build import BuildImage
from trunkline_sandbox.handlers.image_news import ImageNews
from trunkline_sandbox.handlers.named import Sandboxes, put_together
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.model.image import Need, Phase, image_id

pytestmark = pytest.mark.flow
READY, STOPPED, ERROR = SandboxStatus.READY, SandboxStatus.STOPPED, SandboxStatus.ERROR
OFTEN = 6
"""Whoever answers is one of two: so often in a row it is not by luck."""


@pytest.fixture
def url() -> Iterator[str]:
    with nats_server() as server:
        yield server.url


@dataclass
class Mixed:
    """Two services: one keeps sandboxes on its machine, the other in a cloud. `part` ends the second."""

    here: Desk
    other: tuple[Bus, Sandboxes]
    cloud: Cloud
    stack: AsyncExitStack

    async def part(self) -> None:
        await self.stack.aclose()

    async def ensure(self, user: str, provider: str = "") -> SandboxView:
        wish = EnsureSandbox(
            tenant=self.here.tenant, at=now(), sandbox_id=f"sbx-{new_id()}", user=user, provider=provider, by="key", owner="key"
        )
        return await self.here.send(wish)


@asynccontextmanager
async def mixed(url: str, caps: Caps = Caps(per_user=0), lost_s: float = 60.0) -> AsyncIterator[Mixed]:  # noqa: B008  # frozen
    near, far = Cloud(name="local", site="vm-1"), Cloud(name="daytona")
    async with AsyncExitStack() as stack, replica(url, means(near, caps, lost_s)) as (bus, named), vital(named.image_ends.run):
        other = await stack.enter_async_context(replica(url, means(far, caps, lost_s)))
        yield Mixed(Desk(bus, named, near, f"t-{new_id()[-8:]}"), other, far, stack)


async def test_a_sandbox_is_made_stopped_and_deleted_where_it_was_asked_for(url: str) -> None:
    async with mixed(url) as both:
        for round in range(OFTEN):
            for cloud in (both.cloud, both.here.cloud):
                view = await both.here.until((await both.ensure(f"u{round}", cloud.name)).sandbox_id, READY, ERROR)
                assert (view.status, view.provider, len(cloud._of(view.sandbox_id))) == (READY, cloud.name, 1), view.error
                await both.here.stop(view.sandbox_id)
                assert (await both.here.until(view.sandbox_id, STOPPED, ERROR)).status is STOPPED
                await both.here.delete(view.sandbox_id)
        await eventually(lambda: not both.cloud.machines and not both.here.cloud.machines, "something was left behind")
        assert both.cloud.calls["ensure"] == both.here.cloud.calls["ensure"] == OFTEN


async def test_who_names_no_provider_gets_the_same_one_whoever_answers(url: str) -> None:
    async with mixed(url) as both:
        assert {(await both.ensure("ann")).sandbox_id for _ in range(OFTEN)} == {(await both.ensure("ann", "local")).sandbox_id}
        await both.part()
        assert {(await both.ensure("ann")).provider for _ in range(OFTEN)} == {"local"}
    async with replica(url, means(Cloud(name="daytona"), Caps())) as (bus, named):
        alone = Mixed(Desk(bus, named, Cloud(), f"t-{new_id()[-8:]}"), (bus, named), Cloud(), AsyncExitStack())
        assert (await alone.ensure("ann")).provider == "daytona", "who keeps sandboxes elsewhere now is asked for those of before"
    async with mixed(url, Caps(named="daytona")) as both:
        assert {(await both.ensure("bob")).provider for _ in range(OFTEN)} == {"daytona"}


async def test_a_provider_that_nobody_has_is_refused_at_once_and_one_that_is_away_when_it_does_not_come(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_hosts, "ASKED_WITHIN", 60.0)
    async with mixed(url) as both:
        for _ in range(OFTEN):
            async with asyncio.timeout(10):
                with pytest.raises(Invalid, match="there is daytona, local"):
                    await both.ensure("ann", "e2b")
        await both.part()
        monkeypatch.setattr(named_hosts, "ASKED_WITHIN", 0.3)
        with pytest.raises(Unavailable, match="daytona answers"):
            await both.ensure("ann", "daytona")


async def test_what_is_wanted_of_a_provider_that_is_away_waits_for_it_and_ends_when_it_stays_away(url: str) -> None:
    async with mixed(url) as both:
        view = await both.here.until((await both.ensure("ann", "daytona")).sandbox_id, READY)
        await both.part()
        await both.here.stop(view.sandbox_id)
        await both.here.named.watch.once(patience=0)
        assert both.cloud._of(view.sandbox_id)[0].state == "ready"
        assert (await both.here.get(view.sandbox_id)).code == ""
        async with replica(url, means(both.cloud, Caps())):
            await eventually(lambda: both.cloud._of(view.sandbox_id)[0].state == "stopped", "it waits for nobody")
        both.here.named.hosts._lost_s = 0.0
        await both.here.start(view.sandbox_id)
        assert (await both.here.until(view.sandbox_id, ERROR)).code in ("NO_PROVIDER", "SANDBOX_RESTART_FAILED")


async def test_an_image_is_asked_for_and_invalidated_at_the_provider_that_it_is_for(url: str) -> None:
    async with mixed(url, Caps(named="daytona")) as both:
        for _ in range(OFTEN):
            answer = await both.here.bus.commands.send("sandbox", "-", GetImage(tenant=both.here.tenant, at=now()))
            assert ImageView.model_validate(answer.body).provider == "daytona"


async def test_whoever_invalidates_does_it_for_images_of_other_providers_and_dockerfiles_too(url: str) -> None:
    async with connect(BusSettings(nats_url=url), "sandbox") as bus:  # nobody builds
        far, here = (put_together(bus, means(Cloud(name=name), Caps()), now) for name in ("daytona", "local"))
        await here.start()
        id = image_id("daytona", "0" * 64)
        await far.images.receive(id, Need(now(), "daytona", "0" * 64), "need")
        async with vital(here.image_ends.run):
            await eventually(lambda: id in here.images.standing, "nobody heard of it")
        await here.images.invalidate(InvalidateImages(tenant="acme", at=now(), by="ann"))
        image = await far.images.look(id)
        assert image is not None and image.phase is Phase.DROPPED


async def test_a_build_is_left_to_the_services_that_have_its_provider(url: str) -> None:
    async with mixed(url) as both:
        build = BuildImage(both.here.named.images, both.here.bus.log, now)
        fact = ImageWanted(name="omni-1", provider="daytona", digest="0" * 64)
        stored = Stored(1, "evt.public.image-1.image", Record(at=now(), facts=(fact,)).written())
        with pytest.raises(PassOn):
            await ImageNews(build, both.here.named.hosts).on(stored)


def test_jobs_wait_where_their_sandbox_can_be_worked_in() -> None:
    assert (pool_of("vm-1", "local"), pool_of("", "daytona")) == ("site-vm-1", "at-daytona")
    assert pool_of("", "local") == pool_of("") == "dev"
