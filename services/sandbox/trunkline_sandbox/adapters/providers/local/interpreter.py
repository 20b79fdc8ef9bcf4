"""Which Python runs the runner inside."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

SYSTEM = (Path("/usr/bin/python3"), Path("/usr/local/bin/python3"))


@dataclass(frozen=True, slots=True)
class Python:
    """A Python by its path inside; `prefix` has to be shown there too when it is not below /usr."""

    path: str
    prefix: Path | None = None


def choose() -> Python:
    """The system's Python when there is one, as /usr is shown inside anyway; else the one that runs us."""
    for path in SYSTEM:
        if path.exists() and path.resolve().is_relative_to("/usr"):
            return Python(str(path))
    prefix = Path(sys.base_prefix).resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Python(str(prefix / "bin" / version), prefix)
