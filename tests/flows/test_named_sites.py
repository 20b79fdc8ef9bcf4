"""Named sandboxes that only one of several services can reach: it alone acts on them, and nobody takes them for gone without reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from tests.conformance.sandbox.stand_in import Cloud
from tests.flows.named_desk import Desk, eventually, means, replica
from trunkline.bus import WorkItem
from trunkline.contracts.errors import Broken
from trunkline.contracts.sandbox import EnsureSandbox, SandboxStatus, SandboxTerms, SandboxView, SandboxWanted
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import nats_server
from trunkline_sandbox.handlers import named_sites
from trunkline_sandbox.handlers.named import Sandboxes
from trunkline_sandbox.handlers.named_heirs import Heirs
from trunkline_sandbox.handlers.named_host import NAMED
from trunkline_sandbox.handlers.named_sites import Sites
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.model.named_cues import Made, Want

pytestmark = pytest.mark.flow
READY, STOPPED, ERROR = SandboxStatus.READY, SandboxStatus.STOPPED, SandboxStatus.ERROR
LOST_S = 0.2


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with nats_server() as server:
        yield server.url


@dataclass
class Two:
    """Two services of one provider, each with a directory of its own. `leave` ends the second; `come` starts it on the same directory."""

    here: Desk
    far: Cloud
    url: str
    stack: AsyncExitStack
    there: Sandboxes

    @property
    def near(self) -> Cloud:
        return self.here.cloud

    def holder(self, view: SandboxView) -> Cloud:
        return next(cloud for cloud in (self.near, self.far) if cloud._of(view.sandbox_id))

    async def leave(self) -> None:
        await self.stack.aclose()

    async def come(self) -> Sandboxes:
        _, self.there = await self.stack.enter_async_context(replica(self.url, means(self.far, Caps(per_user=0), LOST_S)))
        await self.there.sites.speak()
        return self.there

    async def at(self, cloud: Cloud) -> SandboxView:
        """A sandbox that is kept there. Whoever hears the wish first makes it, so the other one is held for that long."""
        wish = EnsureSandbox(
            tenant=self.here.tenant, at=now(), sandbox_id=f"sbx-{new_id()}", user=f"u-{new_id()}", by="key", owner="key", reuse=False
        )
        key = self.here.key(wish.sandbox_id)
        one, other = (self.here.named, self.there) if cloud is self.near else (self.there, self.here.named)
        async with other.carry._turns.setdefault(key, asyncio.Lock()):
            await self.here.send(wish)
            await one.carry.drive(key)
        view = await self.here.get(wish.sandbox_id)
        assert (view.status, view.site) == (READY, cloud.site)
        return view

    async def until_given_up(self, view: SandboxView) -> SandboxView:
        async with asyncio.timeout(20):
            while (seen := await self.here.get(view.sandbox_id)).status is not ERROR:
                await self.here.named.watch.once()
                await asyncio.sleep(0.05)
        return seen


@asynccontextmanager
async def two(url: str) -> AsyncIterator[Two]:
    name = f"cloud-{new_id()[-8:]}"
    near, far = (Cloud(name=name, site=f"{name}-{side}") for side in ("near", "far"))
    async with AsyncExitStack() as stack, replica(url, means(near, Caps(per_user=0), LOST_S)) as (bus, named):
        both = Two(Desk(bus, named, near, f"t-{new_id()[-8:]}"), far, url, stack, named)
        await both.come()
        yield both


async def test_what_another_site_keeps_is_neither_gone_nor_anybodys_elses_to_touch(url: str) -> None:
    async with two(url) as both:
        views = [await both.at(cloud) for cloud in (both.near, both.far)]
        await both.here.named.watch.once(patience=0)
        assert [(await both.here.get(view.sandbox_id)).status for view in views] == [READY, READY]
        for view in views:
            holder = both.holder(view)
            await both.here.stop(view.sandbox_id)
            await eventually(lambda: holder._of(view.sandbox_id)[0].state == "stopped", "it is not stopped where it is")  # noqa: B023
            await both.here.until(view.sandbox_id, STOPPED)
            await both.here.start(view.sandbox_id)
            await both.here.until(view.sandbox_id, READY)
            await both.here.delete(view.sandbox_id)
            await eventually(lambda: not holder._of(view.sandbox_id), "it is not removed where it is")  # noqa: B023
        assert both.near.calls["remove"] == both.far.calls["remove"] == 1, "somebody else removed what it does not have"


async def test_what_was_wanted_while_a_site_was_away_is_done_when_it_is_back(url: str) -> None:
    async with two(url) as both:
        view = await both.at(both.far)
        await both.leave()
        await both.here.stop(view.sandbox_id)
        await both.here.named.watch.once(patience=0)
        assert both.far._of(view.sandbox_id)[0].state == "ready"
        await (await both.come()).watch.once(patience=0)
        assert both.far._of(view.sandbox_id)[0].state == "stopped"
        assert (await both.here.get(view.sandbox_id)).status is STOPPED


async def test_a_site_that_is_silent_is_given_up_and_taken_back_with_its_files(url: str) -> None:
    async with two(url) as both:
        view, going = await both.at(both.far), await both.at(both.far)
        mine = await both.at(both.near)
        await both.here.named.watch.once()
        await both.leave()
        await both.here.delete(going.sandbox_id)

        lost = await both.until_given_up(view)
        assert (lost.code, both.far.site in lost.error) == ("SANDBOX_SITE_LOST", True)
        assert (await both.here.get(mine.sandbox_id)).status is READY
        assert both.here.key(going.sandbox_id) not in dict(both.here.named.book.all()), "nobody waits for what is deleted there"
        another = await both.here.until((await both.here.ensure(view.user)).sandbox_id, READY)
        assert another.site == both.near.site and another.sandbox_id != view.sandbox_id

        await (await both.come()).watch.once()
        assert (await both.here.get(view.sandbox_id)).status is STOPPED, "an outage cost its user the files"
        assert both.far._of(view.sandbox_id)[0].state == "stopped", "programs of jobs that others ended go on"
        await both.here.start(view.sandbox_id)
        await both.here.until(view.sandbox_id, READY)
        assert not both.far._of(going.sandbox_id), "what was deleted meanwhile is still there"


async def test_silence_while_nobody_could_listen_does_not_count(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_sites, "LOOK_S", 0.01)
    async with two(url) as both:
        view = await both.at(both.far)
        await both.leave()
        await both.here.named.watch.once()
        await asyncio.sleep(LOST_S + 0.1)  # as when the bus was away: the first look after it proves nothing
        await both.here.named.watch.once()
        assert (await both.here.get(view.sandbox_id)).status is READY


async def test_of_two_that_were_made_at_once_the_one_that_was_noted_stays(url: str) -> None:
    async with two(url) as both:
        view = await both.at(both.far)
        both.near.add(view.sandbox_id, dict(both.far._of(view.sandbox_id)[0].labels))
        late = Made(ref="m1", isolation="none", ready=True, site=both.near.site)
        await both.here.named.book.receive(both.here.key(view.sandbox_id), late, now(), "make")
        await both.here.named.watch.once()
        assert both.near._of(view.sandbox_id), "it was removed for one that nobody may have"
        await both.there.sites.speak()
        for _ in range(2):
            await both.here.named.watch.once()
        assert not both.near._of(view.sandbox_id) and both.far._of(view.sandbox_id)
        assert (await both.here.get(view.sandbox_id)).site == both.far.site


async def test_jobs_of_a_site_that_is_given_up_are_taken_by_others_until_it_is_back(url: str) -> None:
    async with two(url) as both:
        view, taken = await both.at(both.far), set[str]()

        async def take(pool: str) -> None:
            taken.add(pool)
            try:
                await asyncio.Event().wait()
            finally:
                taken.remove(pool)

        running = asyncio.create_task(Heirs(both.here.named.sites, take, both.here.bus.work.pools).run())
        await both.leave()
        await both.until_given_up(view)
        await eventually(lambda: f"site-{both.far.site}" in taken, "nobody takes its jobs")
        await (await both.come()).watch.once()
        await both.here.named.watch.once()
        await eventually(lambda: f"site-{both.far.site}" not in taken, "its jobs are still taken from it")
        running.cancel()


async def test_jobs_are_inherited_of_a_site_of_which_nothing_else_is_known(url: str) -> None:
    async with two(url) as both:
        item = WorkItem(tenant=both.here.tenant, task="t-1", attempt=1, pool="site-long-gone", priority="P2")
        await both.here.bus.work.put(item)
        carried = asyncio.Event()

        async def carry(item: WorkItem, _: int) -> None:
            carried.set()

        running = asyncio.create_task(
            Heirs(both.here.named.sites, lambda pool: both.here.bus.work.take(pool, 1, carry), both.here.bus.work.pools).run()
        )
        async with asyncio.timeout(20):
            while not carried.is_set():
                await both.here.named.watch.once()
                await asyncio.sleep(0.05)
        running.cancel()


async def test_one_from_before_there_were_sites_is_nobodys_to_miss_until_who_has_it_says_so(url: str) -> None:
    async with two(url) as both:
        id = f"sbx-{new_id()}"
        key, old = both.here.key(id), both.far.add(id, {"tenant": both.here.tenant, NAMED: id})
        wanted = SandboxWanted(user="ann", provider=both.far.name, terms=SandboxTerms(), by="key")
        turns = [named.carry._turns.setdefault(key, asyncio.Lock()) for named in (both.here.named, both.there)]
        async with turns[0], turns[1]:
            await both.here.named.book.receive(key, Want(wanted), now())
            await both.here.named.book.receive(key, Made(ref=old.ref, isolation="none", ready=True), now())
        await both.here.named.watch.once(patience=0)
        await both.here.stop(id)
        await both.here.named.watch.once(patience=0)
        seen = await both.here.get(id)
        assert (seen.site, seen.code, both.far._of(id)) == ("", "", [old])
        await both.there.watch.once()
        await eventually(lambda: both.far._of(id)[0].state == "stopped", "it is not stopped where it is")
        assert (await both.here.until(id, STOPPED)).site == both.far.site


async def test_one_that_takes_long_to_make_is_made_by_the_first_that_says_so(url: str) -> None:
    async with two(url) as both:
        id = f"sbx-{new_id()}"
        key = both.here.key(id)
        wanted = SandboxWanted(user="ann", provider=both.far.name, terms=SandboxTerms(), by="key")
        turns = [named.carry._turns.setdefault(key, asyncio.Lock()) for named in (both.here.named, both.there)]
        async with turns[0], turns[1]:
            await both.here.named.book.receive(key, Want(wanted), now())
            for one in (both.there, both.here.named):
                await one.carry.claim(key)
        assert (await both.here.until(id, READY)).site == both.far.site
        assert not both.near.calls["ensure"], "two made it"


async def test_a_word_that_is_forgotten_is_none_and_a_site_without_sandboxes_is_listened_to(url: str) -> None:
    async with two(url) as both:
        sites = both.here.named.sites
        await sites.look([both.far.site])
        sites._heard = {site: replace(heard, seq=heard.seq + 7) for site, heard in sites._heard.items()}
        await both.there.sites.speak()
        assert not await sites.look([]) and both.far.site in sites.spoke, "who speaks is not heard"
        spoken = sites._heard[both.far.site]
        sites._heard = {both.far.site + "-gone": spoken}
        await asyncio.sleep(LOST_S)
        assert both.far.site + "-gone" in await sites.look([])


async def test_of_two_machines_that_have_one_directory_the_one_that_hears_of_the_other_ends(url: str) -> None:
    async with two(url) as both:
        mine, again, other = (Sites(both.here.bus.memos, {"one": both.near}, LOST_S) for _ in range(3))
        other.machine = b"elsewhere b1 pid:[1]"
        for sites in (other, mine, again, mine):
            await sites.speak()  # services of one machine, or the next one, are not two
        with pytest.raises(Broken, match="end one of them"):
            await other.run()
        await mine.speak()


async def test_a_machine_does_not_begin_on_a_directory_that_another_one_works_on_but_when_that_is_gone(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_sites, "SPEAK_S", 0.05)
    monkeypatch.setattr(named_sites, "LISTEN_S", 0.02)
    async with two(url) as both:
        mine, other = (Sites(both.here.bus.memos, {"one": both.near}, LOST_S) for _ in range(2))
        other.machine = b"elsewhere b1 pid:[1]"
        working = asyncio.create_task(mine.run())
        with pytest.raises(Broken, match="end one of them"):
            await other.start()
        working.cancel()
        monkeypatch.setattr(named_sites, "QUIET_S", 0.2)
        async with asyncio.timeout(10):
            await other.start()


@pytest.mark.parametrize(
    ("word", "same"),
    [
        (b"", True), (b"vm", True), (b"vm b1 pid:[1]", True), (b"vm b1 pid:[2]", True), (b"renamed b1 pid:[1]", True),
        (b"vm b2 pid:[1]", False), (b"box b1 pid:[2]", False), (b"box", False), (b"\xff", False),
    ],
)  # fmt: skip
def test_a_machine_is_known_by_what_it_sees_of_its_processes(word: bytes, same: bool) -> None:
    assert named_sites._same(word, b"vm b1 pid:[1]") is same
