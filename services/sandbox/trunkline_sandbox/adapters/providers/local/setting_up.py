"""See what this machine can do, and choose how sandboxes are made on it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from trunkline_sandbox.adapters.providers.local import bubblewrap, identity, interpreter, limits, site, trees, unsafe
from trunkline_sandbox.adapters.providers.local.boxes import Boxes
from trunkline_sandbox.adapters.providers.local.interpreter import Python
from trunkline_sandbox.adapters.providers.local.limits import Groups
from trunkline_sandbox.adapters.providers.local.starting import Engine

_RUNNER = ("lines.py", "everybody.py", "journal.py", "program.py", "memory.py", "runner.py")
"""The runner's parts, lowest first; installed they are one file, as each import costs a millisecond at every start."""
_INSIDE = Path(__file__).parent / "inside"
_COMPILE = "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True)"


def boxes(root: Path, without_walls: bool, reserve: int) -> Boxes:
    """The sandboxes below `root`. Raises Unavailable with the remedy when nothing isolates here."""
    root.mkdir(parents=True, exist_ok=True)
    groups = limits.find()
    if without_walls:
        python = Python(getattr(sys, "_base_executable", "") or sys.executable)
        made = Boxes(root, Engine(None, python, install(root, python), reserve), groups, None, unsafe.ISOLATION, site.of(root))
    else:
        made = _walled(root, groups, reserve)
    made.prepare()
    return made


def _walled(root: Path, groups: Groups, reserve: int) -> Boxes:
    uid = identity.first_uid(Path("/proc/self/uid_map").read_text()) if os.geteuid() == 0 else None
    python = interpreter.choose()
    walls = bubblewrap.find(python, root, uid)
    parts = [walls.version, limits.words(groups), *(["own user"] if uid is not None else [])]
    return Boxes(root, Engine(walls, python, install(root, python), reserve), groups, uid, ", ".join(parts), site.of(root))


def install(root: Path, python: Python) -> Path:
    """Put the runner below the root, compiled for the Python inside, and say in which directory; each version has its own."""
    sources = {"runner.py": runner_source().encode(), "forwarder.py": (_INSIDE / "forwarder.py").read_bytes()}
    digest = hashlib.sha256(b"\0".join([python.path.encode(), *sources.values()])).hexdigest()[:16]
    target = root / f".runner-{digest}"
    if target.exists():
        return target
    part = root / f".runner-{digest}.{os.getpid()}"
    part.mkdir(mode=0o755, exist_ok=True)
    for name, source in sources.items():
        (part / name).write_bytes(source)
    compiled = (part / "runner.py", part / "runner.pyc")
    subprocess.run([python.path, "-I", "-S", "-E", "-c", _COMPILE, *compiled], capture_output=True, timeout=30, check=False, env={})
    for file in part.iterdir():
        file.chmod(0o644)
    part.chmod(0o755)
    try:
        os.rename(part, target)
    except OSError:
        trees.remove(part)
    return target


def runner_source() -> str:
    """The runner as one program that needs nothing but Python's standard library."""
    return bundle([(_INSIDE / name).read_text() for name in _RUNNER])


def bundle(parts: list[str]) -> str:
    """The parts as one program: what they import of each other is above them then."""
    future = "from __future__ import annotations"
    dropped = (future, "from trunkline_sandbox.")
    kept = (line for part in parts for line in part.splitlines() if not line.startswith(dropped))
    return "\n".join((future, *kept, ""))
