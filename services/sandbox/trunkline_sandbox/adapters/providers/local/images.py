"""Images on this machine: prepared trees of a workspace and a home, kept by name, that a sandbox begins with a copy of."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import token
from trunkline_sandbox.adapters.providers.local import locks, small_trees, trees
from trunkline_sandbox.adapters.providers.local.places import Place, Record, place, write_durably
from trunkline_sandbox.handlers.image_host import IMAGE, gone
from trunkline_sandbox.ports import Launch

KEPT: Final = 2
"""The one that counts, and the one before for whoever is just copying it."""
_FOLDER: Final = ".images"
_SAYS: Final = "image.json"
"""Written last: what has it is whole."""
_PATIENCE: Final = 600.0


def keep(root: Path, place: Place, name: str, env: Mapping[str, str]) -> None:
    """Make what the sandbox at `place` holds the image `name`; may be repeated, and interrupted anywhere."""
    new = _folder(root) / f".new-{token(name)}"
    new.mkdir(parents=True, exist_ok=True, mode=0o700)
    for tree in (place.workspace, place.home):
        if tree.exists():
            trees.move(tree, new / tree.name)
    write_durably(new / _SAYS, json.dumps({"name": name, "env": dict(env)}).encode())
    os.rename(new, _folder(root) / name)
    others = sorted(entry for entry in _folder(root).iterdir() if not entry.name.startswith(".") and entry.name != name)
    for old in others[: 1 - KEPT]:  # never the one that was just built, whatever clock named it
        trees.remove(old)


def has(root: Path, name: str) -> bool:
    return (_folder(root) / token(name) / _SAYS).exists()


def discard(root: Path, name: str) -> None:
    """What is half made of it."""
    trees.remove(_folder(root) / f".new-{token(name)}")


def wanted(record: Record) -> bool:
    return bool(record.spec.labels.get(IMAGE))


def lay(root: Path, record: Record) -> None:
    """Let a sandbox begin with the image that is wanted for it; one that has begun is left alone. Raises Unavailable IMAGE_GONE."""
    name = record.spec.labels[IMAGE]
    there, source = place(root, record.spec.id), _folder(root) / token(name)
    with locks.locked(there.lock):
        if (there.dir / _SAYS).exists():
            return
        says = _says(source / _SAYS)
        if says is None:
            raise gone(name)
        box = there.workspace.parent
        for tree in (there.workspace, there.home):
            if not small_trees.copy(source / tree.name, tree, record.uid):
                _copy((source / tree.name,), box)
                trees.give_away(tree, record.uid)
        for tree in (there.workspace, there.home):
            tree.chmod(0o700)
        write_durably(there.dir / _SAYS, says)


def dressed(there: Place, launch: Launch) -> Launch:
    """With the variables of the image that the sandbox began with; those of the launch count before them."""
    says = _says(there.dir / _SAYS)
    return launch if says is None else replace(launch, env={**json.loads(says)["env"], **launch.env})


def _copy(sources: tuple[Path, ...], into: Path) -> None:
    """The trees as they are into those of the same name, no link followed; blocks are shared where the file system can."""
    argv = ("cp", "-a", "--reflink=auto", "--", *map(str, sources), f"{into}/")
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False)
    if done.returncode != 0:
        said = done.stderr[-300:].decode(errors="replace").strip()
        if os.strerror(errno.ENOSPC) in said:
            raise OSError(errno.ENOSPC, said)
        raise Unavailable(f"the snapshot could not be copied: {said}", code="IMAGE_NOT_COPIED")


def _says(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _folder(root: Path) -> Path:
    return root / _FOLDER
