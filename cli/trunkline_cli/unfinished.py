"""The mark of a restore in the data directory: there from before anything is written until all of it is, so that nobody starts on half."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from trunkline.bus.streams import UNFINISHED
from trunkline.contracts.errors import Conflict
from trunkline_cli.data_dir import write_private
from trunkline_cli.nats_store import holds_anything
from trunkline_cli.operator import OPERATOR_FILE

MARK: Final = "restoring"
"""Holds the name of the backup."""
USED: Final = (OPERATOR_FILE, "audit", "audit.key", "relay", "sandbox")
"""What is only there where Trunkline ran."""


def refuse(root: Path) -> None:
    """Raises Conflict RESTORE_UNFINISHED."""
    if is_unfinished(root):
        message = f"A backup was not restored to its end in {root}: run `trunkline restore` again, with the same file."
        raise Conflict(message, code=UNFINISHED)


def is_unfinished(root: Path) -> bool:
    return (root / MARK).exists()


def begin(root: Path, backup: str, *, own: bool) -> None:
    """From here on nobody starts there. What an earlier try put into its `own` store is thrown away, as it may be half made.

    Raises Conflict NOT_EMPTY.
    """
    store = root / "nats" / "store"
    if is_unfinished(root):
        if (root / MARK).read_text().strip() != backup:
            raise _not_empty(root, "another backup was begun to be restored there")
        for entry in store.iterdir() if own and store.exists() else ():  # it may itself be a link to another disk
            shutil.rmtree(entry)
    elif own and holds_anything(store):
        return  # nats-server says what it is: an installation, or what came of this very backup
    elif used := [name for name in USED if (root / name).exists()]:
        raise _not_empty(root, f"it holds {', '.join(used)}")
    else:
        write_private(root / MARK, f"{backup}\n")
        _settle(root)


def end(root: Path) -> None:
    (root / MARK).unlink(missing_ok=True)
    _settle(root)


def _not_empty(root: Path, why: str) -> Conflict:
    return Conflict(f"A backup is only restored where there is nothing, and of {root} {why}. Name another folder.", code="NOT_EMPTY")


def _settle(root: Path) -> None:
    """The names in it outlive the machine."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
