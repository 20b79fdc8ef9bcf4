"""What a directory of sandboxes is called by services that cannot see it: named once, and for as long as the directory lives."""

from __future__ import annotations

import os
import re
import secrets
import socket
from contextlib import suppress
from pathlib import Path

from trunkline.contracts.errors import Broken
from trunkline.contracts.ids import token
from trunkline_sandbox.adapters.providers.local import places
from trunkline_sandbox.handlers.named_host import NAMED

_FILE = ".site"
_HOST = 40
"""Characters of the machine's name, which is there for people: the rest tells two directories of one machine apart."""


def of(root: Path) -> str:
    """The site of `root`, named when it has no name yet; whoever links it first has named it. Raises Broken when it is lost or spoilt."""
    path = root / _FILE
    if not path.exists():
        _refuse_another(root)
        draft = root / f"{_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
        with draft.open("w") as file:
            file.write(_new())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
        _settle(root)
    try:
        return token(path.read_text().strip())
    except (OSError, ValueError) as error:
        told = f"the file {path} names these sandboxes, and cannot be read ({error}); put back what it held"
        raise Broken(told, code="SANDBOX_ERROR") from error


def _refuse_another(root: Path) -> None:
    """Under another name its sandboxes would be taken for copies of those that somebody else keeps. Raises Broken."""
    for place in places.places(root):
        record = places.readable(place.record)
        if record and record.site and NAMED in record.spec.labels and not (root / _FILE).exists():
            told = f"the file {root / _FILE} is lost, which names these sandboxes; put it back: it held {record.site}"
            raise Broken(told, code="SANDBOX_ERROR")


def _settle(dir: Path) -> None:
    """Let the names in it outlive the machine."""
    fd = os.open(dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _new() -> str:
    machine = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:_HOST].strip("-")
    return f"{machine or 'machine'}-{secrets.token_hex(4)}"
