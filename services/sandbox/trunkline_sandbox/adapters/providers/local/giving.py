"""The workspace of a sandbox becomes a tree that was prepared: as a folder of its own, or within the folder that is there."""

from __future__ import annotations

import os
from pathlib import Path

from trunkline.contracts.errors import NotFound
from trunkline_sandbox.adapters.providers.local import trees
from trunkline_sandbox.adapters.providers.local.places import Place


def give(place: Place, tree: Path, *, in_place: bool) -> None:
    """Move `tree` there; may be interrupted anywhere and repeated, also when the tree is on its way already. Raises NotFound.

    `in_place`: the folder is shown somewhere already; nothing that an agent made may be in it.
    """
    given = place.dir / "given"
    if tree.is_dir() and not tree.is_symlink():
        clear(place)
        trees.remove(_halfway(place))
        if in_place:
            if os.listdir(place.workspace):
                _old(place).mkdir(mode=0o700)
                trees.move_all(place.workspace, _old(place))
            trees.move(tree, _halfway(place))
        else:
            if os.path.lexists(place.workspace):
                os.rename(place.workspace, _old(place))
            trees.move(tree, place.workspace)
            given.touch()
    elif not _halfway(place).exists() and (not given.exists() or not place.workspace.exists()):
        raise NotFound(f"There is no tree at {tree} to be given.", code="NO_WORKSPACE")
    if _halfway(place).exists():
        trees.move_all(_halfway(place), place.workspace)
        given.touch()
        _halfway(place).rmdir()


def clear(place: Place) -> None:
    """Remove what was there before."""
    trees.remove(_old(place))


def _old(place: Place) -> Path:
    return place.workspace.with_name(".old")


def _halfway(place: Place) -> Path:
    """What of the tree did not come through yet. While it is there, the workspace holds the rest, and nothing else."""
    return place.workspace.with_name(".giving")
