"""What was half made and what cannot be read: nothing of it stays for ever, and nothing of it stands in the way of others."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import LONG, SMALL, Box, alive, shell
from trunkline.contracts.errors import Broken, Unavailable
from trunkline_sandbox.adapters.providers.local import LocalProvider, limits
from trunkline_sandbox.ports import Exit


def prefix(box: Box) -> str:
    return f"trunkline-{hashlib.sha256(str(box.root).encode()).hexdigest()[:8]}-"


def groups(box: Box) -> set[Path]:
    """The control groups of all sandboxes below its root."""
    return {path for parent in limits.find().parents.values() for path in parent.glob(f"{prefix(box)}*")}


def killed_while_made(box: Box) -> None:
    """What a service leaves that dies before the sandbox has its place."""
    limits.make(limits.find(), f"{prefix(box)}{box.id}", SMALL)
    (box.root / f".new-{box.id}" / "box").mkdir(parents=True)


def half_made(box: Box) -> list[str]:
    return [entry.name for entry in box.root.iterdir() if entry.name.startswith((".new-", ".gone-"))]


@pytest.mark.skipif("cpu" not in limits.find().parents and "unified" not in limits.find().parents, reason="nothing divides time here")
async def test_a_sandbox_whose_groups_cannot_be_made_leaves_none(walled: Box) -> None:
    with pytest.raises(Unavailable, match="control group"):
        await walled.ensure(replace(SMALL, cpus=1e9))
    assert not groups(walled) and not half_made(walled)


async def test_a_sandbox_that_cannot_be_laid_out_leaves_nothing(walled: Box) -> None:
    (walled.dir / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="not empty"):
        await walled.ensure()
    assert not groups(walled) and not half_made(walled)


async def test_removing_what_was_half_made_removes_all_of_it(walled: Box) -> None:
    killed_while_made(walled)
    for _ in range(2):
        await walled.provider.remove(walled.id)
        assert not groups(walled) and not half_made(walled)


async def test_a_new_service_clears_what_was_half_made_and_nothing_else(walled: Box) -> None:
    await walled.start(shell("echo up; read x; echo got $x"))
    assert await walled.first_line() == b"up"
    before = groups(walled)
    killed_while_made(walled.other("box-2"))
    LocalProvider(walled.root).close()
    assert groups(walled) == before and not half_made(walled)
    assert (await walled.hear()).exit == Exit(0)


async def test_a_record_that_cannot_be_read_keeps_nobody_else(walled: Box) -> None:
    await walled.ensure()
    (walled.dir / "sandbox.json").write_text("{")
    other = walled.other("box-2")
    assert (await other.run(shell("echo well"))).out == [b"well"]
    assert [sandbox.id for sandbox in await walled.provider.list()] == [other.id]
    owner = walled.provider.owner(other.id)
    assert owner is None or owner != (walled.dir / "box").stat().st_uid
    with pytest.raises(Broken, match="cannot be read"):
        await walled.ensure()
    await walled.provider.remove(walled.id)
    await walled.ensure()


async def test_a_sandbox_whose_record_cannot_be_read_is_removed_with_all_that_runs_in_it(near: Box) -> None:
    await near.start(shell("echo up; sleep LONG"))
    assert await near.first_line() == b"up"
    (near.dir / "sandbox.json").write_text('{"spec": {}}')
    await near.provider.remove(near.id)
    assert not near.dir.exists() and not groups(near) and not alive(LONG)
