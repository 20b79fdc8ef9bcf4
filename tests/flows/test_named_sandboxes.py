"""Named sandboxes on a real nats-server: one for many callers, started again, replaced, capped, counted, and the same as the provider's."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.campaigns import tries
from tests.conformance.sandbox.stand_in import Fault
from tests.flows.named_desk import QUICK, Desk, desk, eventually, replica
from trunkline.contracts.errors import Conflict, Denied, DomainError, Exhausted, Invalid, NotFound, Unsupported
from trunkline.contracts.ids import TenantId
from trunkline.contracts.sandbox import (
    EnsureSandbox,
    GetSandbox,
    SandboxStatus,
    SandboxTerms,
    SandboxUsage,
    SandboxUsageView,
    SandboxView,
)
from trunkline.runtime.clock import now
from trunkline.testing.nats import nats_server
from trunkline_sandbox.handlers import named_watch
from trunkline_sandbox.handlers.named_host import NAMED
from trunkline_sandbox.handlers.named_minutes import SECONDS
from trunkline_sandbox.handlers.named_terms import Caps

pytestmark = pytest.mark.flow
READY, STOPPED, ERROR = SandboxStatus.READY, SandboxStatus.STOPPED, SandboxStatus.ERROR


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with nats_server() as server:
        yield server.url


async def stop(here: Desk, view: SandboxView) -> SandboxView:
    await here.stop(view.sandbox_id)
    await eventually(lambda: here.named.book.of(here.tenant)[0][1].phase == "stopped", "it does not stop")
    return await here.get(view.sandbox_id)


async def test_sixty_four_callers_at_once_get_one_sandbox(url: str) -> None:
    async with desk(url) as here, asyncio.TaskGroup() as group:
        asked = [group.create_task(here.ensure("ann")) for _ in range(64)]
        ids = {(await each).sandbox_id for each in asked}
        assert len(ids) == 1
        await here.until(ids.pop(), READY)
        assert len(here.cloud.machines) == 1


async def test_the_preferred_one_is_returned_restarted_or_replaced(url: str) -> None:
    async with desk(url) as here:
        first = await here.ready()
        assert (await here.ensure()).sandbox_id == first.sandbox_id
        assert (await here.ensure("bob")).sandbox_id != first.sandbox_id

        assert (await stop(here, first)).status is STOPPED
        async with asyncio.TaskGroup() as group:
            again = [group.create_task(here.ensure()) for _ in range(8)]
        assert {(await each).sandbox_id for each in again} == {first.sandbox_id}
        await here.until(first.sandbox_id, READY)
        assert here.cloud.calls["rouse"] == 1

        here.cloud.stand(first.sandbox_id, "error")
        await here.named.watch.once()
        assert (await here.get(first.sandbox_id)).code == "SANDBOX_ERROR"
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(here.ensure()) for _ in range(8)]
        (other,) = {(await each).sandbox_id for each in others}
        assert other != first.sandbox_id
        await here.until(other, READY)
        await eventually(lambda: not here.cloud._of(first.sandbox_id), "the broken one is still there")

        await here.delete(other)
        with pytest.raises(NotFound):
            await here.get(other)
        assert (await here.ensure()).sandbox_id not in (first.sandbox_id, other)


async def test_a_start_that_fails_says_so_and_keeps_the_sandbox(url: str) -> None:
    async with desk(url, waits=replace(QUICK, tries=2)) as here:
        view = await stop(here, await here.ready())
        here.cloud.faults["rouse"] = [Fault.ERROR, Fault.ERROR]
        await here.start(view.sandbox_id)
        assert (await here.until(view.sandbox_id, ERROR)).code == "SANDBOX_RESTART_FAILED"
        await here.start(view.sandbox_id)
        await here.until(view.sandbox_id, READY)


async def test_one_whose_provider_was_away_is_started_again_by_the_next_create_and_not_replaced(url: str) -> None:
    async with desk(url, waits=replace(QUICK, tries=2)) as here:
        view = await stop(here, await here.ready())
        here.cloud.faults["rouse"] = [Fault.ERROR, Fault.ERROR]
        await here.start(view.sandbox_id)
        await here.until(view.sandbox_id, ERROR)
        assert (await here.ensure()).sandbox_id == view.sandbox_id
        await here.until(view.sandbox_id, READY)


async def test_a_delete_that_comes_twice_is_one(url: str) -> None:
    async with desk(url) as here:
        view = await here.ready()
        assert {(await here.delete(view.sandbox_id)).sandbox_id for _ in range(2)} == {view.sandbox_id}


async def test_users_may_be_called_anything(url: str) -> None:
    users = ["a/b", "../../etc", "a.b.c", "*", ">", "nul\0", "x" * 1024, "snow ☃", " "]
    async with desk(url, Caps(per_tenant=0)) as here:
        views = [await here.ensure(user) for user in users]
        assert len({view.sandbox_id for view in views}) == len(users)
        for user, view in zip(users, views, strict=True):
            assert (await here.until(view.sandbox_id, READY)).user == user
            assert (await here.ensure(user)).sandbox_id == view.sandbox_id
            assert [found.sandbox_id for found in (await here.listed(user=user)).sandboxes] == [view.sandbox_id]
        for wrong in ("", "x" * 1025, "\ud800"):
            with pytest.raises(ValueError, match="user"):
                await here.ensure(wrong)


async def test_nobody_has_another_ones_sandbox(url: str) -> None:
    async with desk(url) as here:
        mine, hers = await here.ensure("ann", owner="key-1"), await here.ensure("ann", owner="key-2")
        assert mine.sandbox_id != hers.sandbox_id
        for tenant, owner in ((here.tenant, "key-2"), ("elsewhere", None)):
            with pytest.raises(NotFound):
                await here.send(GetSandbox(tenant=tenant, at=now(), sandbox_id=mine.sandbox_id, owner=owner))
        assert [view.sandbox_id for view in (await here.listed(owner="key-2")).sandboxes] == [hers.sandbox_id]


async def test_caps_hold_however_many_ask_at_once(url: str) -> None:
    async with desk(url, Caps(per_user=2, per_tenant=3)) as here:
        asked = await asyncio.gather(*(here.ensure("ann", reuse=False) for _ in range(8)), return_exceptions=True)
        assert Counter(type(each) for each in asked) == {SandboxView: 2, Exhausted: 6}
        await here.ensure("bob")
        with pytest.raises(Exhausted) as refused:
            await here.ensure("cyd")
        assert refused.value.code == "SANDBOX_CAP"


async def test_caps_are_exact_over_replicas_and_a_place_comes_back(url: str) -> None:
    caps = Caps(per_user=0, per_tenant=5)
    async with desk(url, caps) as here, replica(url, here.means(caps)):
        asked = await asyncio.gather(*(here.ensure(f"u{n}", reuse=False) for n in range(64)), return_exceptions=True)
        assert Counter(type(each) for each in asked) == {SandboxView: 5, Exhausted: 59}
        first = next(each for each in asked if isinstance(each, SandboxView))

        await here.delete(first.sandbox_id)
        here.cloud.faults["*"] = [Fault.ERROR] * 3
        assert (await here.until((await here.ensure("never")).sandbox_id, ERROR)).code == "SANDBOX_ERROR"
        again = await asyncio.gather(*(here.ensure(f"v{n}", reuse=False) for n in range(8)), return_exceptions=True)
        assert Counter(type(each) for each in again) == {SandboxView: 1, Exhausted: 7}
        with pytest.raises(Exhausted, match="has 5 sandboxes"):
            await here.ensure("last")


async def test_terms_are_checked_before_anything_is_made(url: str) -> None:
    caps = Caps(cpus=2, memory_mb=512, egress=("mirror.example",), egress_too=("other.example",))
    async with desk(url, caps) as here:
        refusals: list[tuple[SandboxTerms, type[DomainError]]] = [
            (SandboxTerms(cpus=3), Invalid),
            (SandboxTerms(memory_mb=513), Invalid),
            (SandboxTerms(ttl_s=31 * 86400), Invalid),
            (SandboxTerms(egress=("evil.example",)), Denied),
            (SandboxTerms(egress=("other.example",)), Unsupported),
        ]
        for terms, error in refusals:
            with pytest.raises(error):
                await here.ensure(terms=terms)
        settled = (await here.ensure(terms=SandboxTerms(cpus=1, egress=()))).terms
        assert (settled.cpus, settled.memory_mb, settled.egress, settled.idle_s) == (1, 512, (), 1800)
        assert here.cloud.calls["ensure"] <= 1


async def test_minutes_are_counted_and_capped_for_each_tenant(url: str) -> None:
    async with desk(url, Caps(minutes_day=0.0001)) as here:
        view = await here.ready()
        await eventually(lambda: here.named.book.of(here.tenant)[0][1].phase == "stopped", "its clock does not stop it at the cap")
        assert (await here.get(view.sandbox_id)).used_s > 0
        with pytest.raises(Exhausted):
            await here.ensure()
        day = SandboxUsage(tenant=here.tenant, at=now(), day=f"{now():%Y%m%d}")
        used = SandboxUsageView.model_validate((await here.bus.commands.send("sandbox", "-", day)).body)
        assert used.running == 0


async def test_use_that_is_told_again_after_a_kill_is_counted_once_to_the_millisecond(url: str) -> None:
    async with desk(url) as here:
        view = await here.ready()
        used = (await stop(here, view)).used_s
        records = (await here.bus.log.load(here.key(view.sandbox_id).subject)).records
        for stored in (*records, *records):  # as it comes to whoever takes over from one that was killed before it said that it was done
            await here.named.news.on(stored)
        total = await here.bus.counters.total(TenantId(here.tenant), f"{now():%Y%m%d}", SECONDS)
        assert total == round(used * 1000) > 0


async def test_the_idle_are_stopped_and_the_old_deleted_by_their_clocks(url: str) -> None:
    async with desk(url) as here:
        idle = await here.ensure("idle", terms=SandboxTerms(idle_s=0.2))
        await here.until(idle.sandbox_id, STOPPED)
        old = await here.ensure("old", terms=SandboxTerms(ttl_s=0.2))
        await eventually(lambda: not here.cloud._of(old.sandbox_id) and here.cloud.calls["remove"], "the old one lives on")
        with pytest.raises(NotFound):
            await here.get(old.sandbox_id)


async def test_whoever_asks_for_one_uses_it(url: str) -> None:
    async with desk(url) as here:
        view = await here.ready("ann", SandboxTerms(idle_s=2))
        await eventually(lambda: now() - view.ready_at > timedelta(seconds=0.4), "no time passes")  # type: ignore[operator]
        again = await here.get((await here.ensure("ann")).sandbox_id)
        assert again.idle_at and view.idle_at and again.idle_at - view.idle_at > timedelta(seconds=0.3)


async def test_a_provider_that_hangs_keeps_a_pass_from_nobody_else(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_watch, "MATCHED_WITHIN", 0.25)
    async with desk(url) as here:
        view = await here.ready()
        for at in range(8):
            here.cloud.add(f"sbx-orphan{at}", {"tenant": here.tenant, NAMED: f"sbx-orphan{at}"})
        here.cloud.faults["remove"] = [Fault.HANGS] * 8
        here.cloud.stand(view.sandbox_id, "stopped")
        async with asyncio.timeout(20):  # less than one that hangs takes
            await here.named.watch.once()
        assert (await here.get(view.sandbox_id)).status is STOPPED
        await here.named.watch.once()
        assert [seen.id for seen in here.cloud.machines.values()] == [view.sandbox_id]


async def test_a_list_has_pages_and_filters(url: str) -> None:
    async with desk(url, Caps(per_user=0)) as here:
        views = [await here.ensure(terms=SandboxTerms(labels={"n": str(n % 2), "all": "yes"}), reuse=False) for n in range(5)]
        for view in views:
            await here.until(view.sandbox_id, READY)
        first = await here.listed(limit=3)
        second = await here.listed(limit=3, cursor=first.next)
        assert [view.sandbox_id for page in (first, second) for view in page.sandboxes] == [view.sandbox_id for view in reversed(views)]
        assert (first.total, second.next) == (5, None)
        assert (await here.listed(labels={"n": "0", "all": "yes"})).total == 3
        assert (await here.listed(status="stopped")).total == 0
        with pytest.raises(Invalid):
            await here.listed(cursor="x")


async def test_what_the_provider_has_and_what_we_believe_become_the_same(url: str) -> None:
    async with desk(url, Caps(per_user=0)) as here:
        cloud = here.cloud
        gone, stopped, twice, late = [await here.until((await here.ensure(reuse=False)).sandbox_id, READY) for _ in range(4)]
        for seen in cloud._of(gone.sandbox_id):
            del cloud.machines[seen.ref]
        cloud.stand(stopped.sandbox_id, "stopped")
        cloud.add(twice.sandbox_id, dict(cloud._of(twice.sandbox_id)[0].labels))
        cloud.hidden |= {seen.ref for seen in cloud._of(late.sandbox_id)}
        cloud.add("sbx-orphan", {"tenant": here.tenant, "sandbox": "sbx-orphan"})
        cloud.add("job-1", {"tenant": here.tenant, "task": "t", "attempt": "1"})

        await here.named.watch.once()

        assert (await here.get(gone.sandbox_id)).code == "SANDBOX_VANISHED"
        assert (await here.get(stopped.sandbox_id)).status is STOPPED
        assert (await here.get(twice.sandbox_id)).status is READY and len(cloud._of(twice.sandbox_id)) == 1
        assert (await here.get(late.sandbox_id)).status is READY
        assert not cloud._of("sbx-orphan") and cloud._of("job-1"), "a job's own sandbox has a life of its own"


async def test_a_pass_goes_on_where_a_provider_resists(url: str) -> None:
    async with desk(url) as here:
        view = await here.ready()
        here.cloud.faults = {"seen": [Fault.ERROR], "remove": [Fault.ERROR] * 3}
        await here.delete(view.sandbox_id)
        await eventually(lambda: not here.cloud.faults["remove"], "nobody tries to remove it")
        await here.named.watch.once(patience=0)
        await here.named.watch.once(patience=0)
        assert not here.cloud.machines


async def test_after_a_thousand_faulty_creates_nothing_is_leaked(url: str) -> None:
    """Short: thirty."""
    dice = random.Random(6)
    async with desk(url, Caps(per_user=0, per_tenant=0), replace(QUICK, make_s=0.6)) as here:
        hands = asyncio.Semaphore(32)

        async def one() -> None:
            async with hands:
                await _create_and_perhaps_delete(here, dice)

        async with asyncio.TaskGroup() as group:
            for _ in range(tries(30, 1000)):
                group.create_task(one())
        await here.cloud.settle()
        here.cloud.faults.clear()
        for _ in range(2):  # the first finds what the second looks at again
            await here.named.watch.once(patience=0)
        believed = {key.id for key, named in here.named.book.of(here.tenant) if named.kept and named.code != "SANDBOX_VANISHED"}
        assert Counter(seen.id for seen in here.cloud.machines.values()) == Counter(believed)


async def _create_and_perhaps_delete(here: Desk, dice: random.Random) -> None:
    sandbox_id = f"sbx-{dice.getrandbits(128):032x}"
    here.cloud.faults[sandbox_id] = dice.choices(list(Fault), k=dice.randint(1, 5))
    here.cloud.faults.setdefault("remove", []).extend(dice.choices([Fault.ERROR, Fault.TIMEOUT, Fault.BUSY], k=dice.randint(0, 2)))
    await here.send(EnsureSandbox(tenant=here.tenant, at=now(), sandbox_id=sandbox_id, user="ann", by="key", reuse=False))
    view = await here.until(sandbox_id, READY, ERROR)
    if view.status is READY and dice.random() < 0.5:
        try:
            await here.delete(sandbox_id)
        except (NotFound, Conflict):
            pass
