"""Show a sandbox's user what lies below directories that it may not enter (a data directory in /root, a private temporary one)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.contracts.errors import Unavailable
from trunkline_sandbox.adapters.providers.local import mounting

_NEUTRAL = ("/mnt", "/media", "/srv", "/opt", "/home", "/var/tmp")


@dataclass(slots=True)
class Stage:
    """Where the sandbox's user finds host paths: where they are, or at a copy of the place in a mount namespace of its own."""

    uid: int | None
    root: Path
    """Most of what is shown lies below it; it is staged as one."""
    mounts: list[tuple[Path, str]] = field(default_factory=list)

    def seen_as(self, path: Path) -> str:
        """The path by which the sandbox's user reaches `path`."""
        if self.uid is None or reachable(path):
            return str(path)
        top = self.root if path.is_relative_to(self.root) else path
        name = next((name for source, name in self.mounts if source == top), None)
        if name is None:
            name = f"{neutral(top)}/{len(self.mounts)}"
            self.mounts.append((top, name))
        return str(Path(name) / path.relative_to(top))

    def lay_out(self) -> None:
        """Make the mounts, as root, for this thread and what it starts; see `mounting.apart`. Raises OSError."""
        for dir in sorted({os.path.dirname(name) for _, name in self.mounts}):
            mounting.tmpfs(dir)
        for source, name in self.mounts:
            os.mkdir(name, 0o755) if source.is_dir() else os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
            mounting.bind(str(source), name)

    def dropped(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """`command` as the sandbox's user; run by root, which by itself would have to copy all its page tables to become that user."""
        if self.uid is None:
            return command
        return ("setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups", "--", *command)


def reachable(path: Path) -> bool:
    """Whether any user may come to `path` through all the directories above it."""
    real = path.resolve()
    return all(os.stat(parent).st_mode & 0o001 for parent in real.parents)


def neutral(path: Path) -> str:
    """A directory to mount over that `path` is not below. Raises Unavailable."""
    for dir in _NEUTRAL:
        if os.path.isdir(dir) and not os.path.islink(dir) and not path.resolve().is_relative_to(dir):
            return dir
    text = f"{path} cannot be shown to a sandbox's user; choose a data directory that everybody may enter."
    raise Unavailable(text, code="DATA_DIR_NOT_REACHABLE")
