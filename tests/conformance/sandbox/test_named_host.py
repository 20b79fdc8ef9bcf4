"""What every provider of named sandboxes does: made once, found, stopped and started with its files, gone when it is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.sandbox.stand_in import Cloud
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.handlers.named_host import NamedHost
from trunkline_sandbox.ports import Limits, SandboxSpec

ID = SandboxId("sbx-1")
SPEC = SandboxSpec(ID, Limits(), {"tenant": "acme", "sandbox": ID})


@pytest.fixture(params=["local", "local --unsafe-local", "stand-in"])
def host(root: Path, request: pytest.FixtureRequest) -> NamedHost:
    return Cloud() if request.param == "stand-in" else LocalProvider(root, unsafe="unsafe" in request.param)


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


async def test_files_outlive_a_rest(root: Path, tmp_path: Path) -> None:
    provider = LocalProvider(root, unsafe=True)
    await provider.ensure(SPEC)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "note").write_text("kept")
    await provider.give(ID, tmp_path / "tree")
    await provider.rest(ID)
    await provider.rouse(ID)
    assert ((await provider.take(ID)) / "note").read_text() == "kept"
