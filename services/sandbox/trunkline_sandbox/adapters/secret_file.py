"""A secret that every replica on this machine shares and that survives restarts: made once, readable by us alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def shared_secret(path: Path) -> bytes:
    """The 32 bytes in `path`, made when missing. Whoever links it first has made it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
