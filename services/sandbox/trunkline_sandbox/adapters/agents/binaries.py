"""Where the program of an agent is: configured, on the path, or where `make agents` put it; it is never run here."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from trunkline.contracts.errors import Invalid

_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A program by its name on the path, what people call it, and how they come by it."""

    name: str
    called: str
    remedy: str


def find_program(wanted: Wanted, configured: Path | None, search_path: str | None, elsewhere: Iterable[Path]) -> Path:
    """The program as one real file. Raises Invalid AGENT_NOT_FOUND with the remedy.

    `search_path` is like PATH; None takes the process's own. A script found there (npm's wrapper) is passed over:
    what it calls would not be there inside a sandbox.
    """
    if configured is not None:
        if _runnable(configured):
            return configured.resolve()
        told = f"the configured {wanted.called} {configured} is not an executable file; correct the path, or {wanted.remedy}"
        raise Invalid(told, code="AGENT_NOT_FOUND")
    on_path = shutil.which(wanted.name, path=search_path)
    for candidate in (*([Path(on_path)] if on_path else []), *elsewhere):
        if _runnable(candidate) and _native(candidate):
            return candidate.resolve()
    raise Invalid(f"{wanted.called} was not found; {wanted.remedy}", code="AGENT_NOT_FOUND")


def in_package(package: str, path: str) -> list[Path]:
    """A file inside an installed Python package, which is not imported."""
    spec = find_spec(package)
    return [Path(place) / path for place in (spec.submodule_search_locations or [])] if spec else []


def in_modules(path: str) -> list[Path]:
    """A file below the npm packages that `make agents` installs beside this Python."""
    return [Path(sys.prefix) / "agents" / "node_modules" / path]


def _runnable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _native(path: Path) -> bool:
    try:
        with path.open("rb") as program:
            return program.read(4) == _ELF
    except OSError:
        return False
