"""Which variables of the user's environment a service inherits: what any program needs, and nothing that may be a secret."""

from __future__ import annotations

from typing import Final

from trunkline.runtime.faults import DIRECTORY

_PLACES: Final = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PYTHON: Final = (
    "PYTHONPATH", "PYTHONHOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONUTF8", "PYTHONIOENCODING",
    "PYTHONNOUSERSITE", "PYTHONUSERBASE", "PYTHONSAFEPATH", "PYTHONWARNINGS", "PYTHONFAULTHANDLER", "PYTHONASYNCIODEBUG",
)  # fmt: skip
_NAMES: Final = frozenset((*_PLACES, *_PYTHON, DIRECTORY))


def inherited(name: str) -> bool:
    """Whether every service gets this variable; those of its own settings come on top. No proxies: nothing of ours goes by them."""
    return name in _NAMES or name.startswith("LC_")
