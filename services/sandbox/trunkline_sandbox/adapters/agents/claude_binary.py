"""Where the Claude Code program is: configured, on the path, or bundled in an installed package; it is never imported or run here."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from trunkline.contracts.errors import Invalid

_PACKAGE = "claude_agent_sdk"
_REMEDY = "install it with `pip install claude-agent-sdk` (which bundles it), or set the path of the claude program"


def find_claude(configured: Path | None = None, search_path: str | None = None) -> Path:
    """The program as one real file. Raises Invalid with the remedy.

    `search_path` is like PATH; None takes the process's own. A program found there that is a script (npm's
    wrapper) is passed over: what it calls would not be there inside a sandbox.
    """
    if configured is not None:
        return _configured(configured)
    for candidate in (_on_path(search_path), _bundled()):
        if candidate is not None:
            return candidate
    raise Invalid(f"Claude Code was not found; {_REMEDY}", code="AGENT_NOT_FOUND")


def _configured(path: Path) -> Path:
    if path.is_file() and os.access(path, os.X_OK):
        return path.resolve()
    raise Invalid(f"the configured Claude Code {path} is not an executable file; correct the path, or {_REMEDY}", code="AGENT_NOT_FOUND")


def _on_path(search_path: str | None) -> Path | None:
    found = shutil.which("claude", path=search_path)
    if found is None:
        return None
    path = Path(found).resolve()
    try:
        with path.open("rb") as program:
            return path if program.read(4) == b"\x7fELF" else None
    except OSError:
        return None


def _bundled() -> Path | None:
    """The package costs a second and 70 MB to import, so only its place is asked for."""
    spec = find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "_bundled" / "claude"
        if path.is_file() and os.access(path, os.X_OK):
            return path.resolve()
    return None
