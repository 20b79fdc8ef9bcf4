"""What every provider of named sandboxes does: made once, found, stopped and started with its files, gone when it is removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.sandbox.conftest import CLOUDS
from tests.conformance.sandbox.stand_in import Cloud
from trunkline.contracts.errors import Broken, Conflict, NotFound
from trunkline.contracts.ids import SandboxId, token
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.handlers.named_host import NamedHost
from trunkline_sandbox.model.limits import Span
from trunkline_sandbox.ports import Exit, Launch, Limits, SandboxSpec

ID = SandboxId("sbx-1")
SPEC = SandboxSpec(ID, Limits(), {"tenant": "acme", "sandbox": ID})


@pytest.fixture(params=["local", "local --unsafe-local", "stand-in", *CLOUDS])
async def host(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[NamedHost]:
    if request.param in CLOUDS:
        async with CLOUDS[request.param](root) as far:
            yield far.provider
    else:
        yield Cloud() if request.param == "stand-in" else LocalProvider(root, unsafe="unsafe" in request.param)


async def test_a_sandbox_that_is_made_twice_is_there_once_and_ready(host: NamedHost) -> None:
    for _ in range(2):
        await host.ensure(SPEC)
    (seen,) = await host.seen()
    assert (seen.id, seen.state, dict(seen.labels)) == (ID, "ready", dict(SPEC.labels))
    assert await host.look(ID) == seen


async def test_a_sandbox_rests_and_is_roused_as_often_as_one_likes(host: NamedHost) -> None:
    await host.ensure(SPEC)
    for state in ("stopped", "ready", "stopped"):
        for _ in range(2):
            await (host.rest(ID) if state == "stopped" else host.rouse(ID))
        seen = await host.look(ID)
        assert seen is not None and seen.state == state


async def test_a_removed_sandbox_is_gone_however_often_it_is_removed(host: NamedHost) -> None:
    await host.ensure(SPEC)
    await host.rest(ID)
    for _ in range(2):
        await host.remove(ID)
        assert await host.look(ID) is None and not await host.seen()
    await host.ensure(SPEC)
    made_anew = await host.look(ID)
    assert made_anew is not None and made_anew.state == "ready"


async def test_what_is_not_there_cannot_rest(host: NamedHost) -> None:
    for call in (host.rest, host.rouse):
        with pytest.raises(NotFound):
            await call(ID)


@pytest.mark.parametrize("span", [Span(3600, 1800), Span(3600), None])
async def test_a_cloud_ends_what_we_forgot_but_later_than_we_do(root: Path, span: Span | None) -> None:
    """A day later; and one that idles for ever here is stopped by nobody."""
    async with CLOUDS["daytona"](root) as far:
        await far.provider._machines.ensure(replace(SPEC, span=span))
        (made,) = far.fake.boxes.values()
    stopped, deleted = made.body["autoStopInterval"], made.body["ttlMinutes"]
    assert (stopped, deleted) == (30 + 1440 if span and span.idle else 0, (25 if span else 61 * 24) * 60 + 1)


async def test_at_e2b_one_is_put_to_rest_with_its_files_when_we_forgot_it(root: Path) -> None:
    async with CLOUDS["e2b"](root) as far:
        await far.provider._machines.ensure(replace(SPEC, span=Span(3600, 1800)))
        (made,) = far.fake.boxes.values()
    assert made.body["autoPause"] is True and 0 < made.body["timeout"] <= 86400


async def test_files_outlive_a_rest(root: Path, tmp_path: Path) -> None:
    provider = LocalProvider(root, unsafe=True)
    await provider.ensure(SPEC)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "note").write_text("kept")
    await provider.give(ID, tmp_path / "tree")
    await provider.rest(ID)
    await provider.rouse(ID)
    assert ((await provider.take(ID)) / "note").read_text() == "kept"


async def test_nothing_is_started_in_what_counts_as_stopped(root: Path) -> None:
    provider = LocalProvider(root, unsafe=True)
    await provider.ensure(SPEC)
    await provider.rest(ID)
    with pytest.raises(Conflict) as refused:
        await provider.start(ID, Launch("late", ("true",), {}))
    assert refused.value.code == "SANDBOX_STOPPED"
    await provider.rouse(ID)
    await provider.start(ID, Launch("late", ("true",), {}))
    async with asyncio.timeout(20):
        heard = [one async for one in provider.output(ID, "late")]
    assert isinstance(heard[-1], Exit) and heard[-1].code == 0


def test_services_that_share_a_directory_share_its_site_and_others_do_not(root: Path) -> None:
    sites = [LocalProvider(root / name, unsafe=True).site for name in ("one", "one", "two")]
    assert sites[0] == sites[1] != sites[2]
    assert all(token(site) == site for site in sites)


def test_a_directory_whose_name_is_spoilt_is_refused_and_not_renamed(root: Path) -> None:
    LocalProvider(root, unsafe=True)
    (root / ".site").write_text("not a name/")
    with pytest.raises(Broken) as refused:
        LocalProvider(root, unsafe=True)
    assert str(root / ".site") in refused.value.message


async def test_a_directory_whose_name_is_lost_is_not_named_anew_while_it_keeps_sandboxes(root: Path) -> None:
    provider = LocalProvider(root, unsafe=True)
    await provider.ensure(SPEC)
    (root / ".site").unlink()
    with pytest.raises(Broken, match=provider.site):
        LocalProvider(root, unsafe=True)
    (root / ".site").write_text(provider.site)
    assert LocalProvider(root, unsafe=True).site == provider.site
