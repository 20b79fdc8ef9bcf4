"""Show a sandbox's user what lies below directories that it may not enter (a data directory in /root, a private temporary one)."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.contracts.errors import Unavailable

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

    def wrap(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """`command` as the sandbox's user, behind the mounts; run by root."""
        lines = [f"mount -t tmpfs -o mode=0755 trunkline {dir}" for dir in sorted({os.path.dirname(name) for _, name in self.mounts})]
        # Each program that is run here costs some 2 ms of every start.
        folders = [name for source, name in self.mounts if source.is_dir()]
        files = [name for source, name in self.mounts if not source.is_dir()]
        lines += [" ".join((make, *names)) for make, names in (("mkdir", folders), ("touch", files)) if names]
        lines += [f"mount --bind {shlex.quote(str(source))} {name}" for source, name in self.mounts]
        drop = f'exec setpriv --reuid {self.uid} --regid {self.uid} --clear-groups -- "$@"'
        return ("unshare", "-m", "--propagation", "private", "/bin/sh", "-e", "-c", "\n".join([*lines, drop]), "sh", *command)


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
