"""Directories made aside and put in place by one rename, and what an interrupted run left of them."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

import structlog

from trunkline_sandbox.adapters.git.environment import environment
from trunkline_sandbox.adapters.git.program import Call, run

log = structlog.get_logger()


def aside(place: Path) -> Path:
    """A new name beside `place`, on the same file system."""
    return place.with_name(f".{place.name}.trunkline-{secrets.token_hex(4)}")


async def put(made: Path, place: Path) -> None:
    """Let `made` stand at `place`; what stood there goes."""
    old = aside(place)
    with contextlib.suppress(FileNotFoundError):
        os.rename(place, old)
    os.rename(made, place)
    await remove(old)


async def sweep(place: Path) -> None:
    """Make the parent of `place` and clear away what interrupted runs left beside it; only one run may use a place."""
    place.parent.mkdir(parents=True, exist_ok=True)
    for name in os.listdir(place.parent):
        if name.startswith(f".{place.name}.trunkline-"):
            await remove(place.parent / name)


async def remove(path: Path) -> None:
    """Remove a tree that a hostile program made: of any depth, with any modes. What resists is logged and left."""
    # By programs: Python's own recursion ends at a thousand levels.
    rm = Call(("rm", "-rf", "--", str(path)), environment())
    answer = await run(rm)
    if answer.code and is_folder(path):
        await run(Call(("chmod", "-R", "u+rwX", "--", str(path)), environment()))
        answer = await run(rm)
    if answer.code:
        log.warning("sandbox.leftover", path=str(path), reason=answer.err[-200:])


def is_folder(path: Path) -> bool:
    """Whether it is a directory itself, and no link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def unlock(bare: Path) -> None:
    """Drop locks and half-written files of a killed git; nobody but the calling run may be using `bare`."""
    for stale in _stale(bare):
        stale.unlink(missing_ok=True)


def _stale(bare: Path) -> Iterator[Path]:
    yield from bare.glob("*.lock")
    yield from bare.glob("trunkline-index-*")
    yield from (bare / "refs").rglob("*.lock")
    yield from (bare / "objects" / "pack").glob("tmp_*")
