"""A service of an ordinary user, who may make no control groups: what it runs, and what it heard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import spelled
from trunkline_sandbox.adapters.providers.local import limits

UID = 12345
_SERVICE = """
import asyncio, json, sys
from pathlib import Path
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.ports import Launch, Limits, Line, SandboxSpec

async def main(root, unsafe, limits, argv):
    provider = LocalProvider(Path(root), unsafe=unsafe)
    sandbox = await provider.ensure(SandboxSpec("box-1", Limits(**limits), {}))
    await provider.start("box-1", Launch("k", tuple(argv), {}))
    heard = [one async for one in provider.output("box-1", "k")]
    lines = [one.data.decode() for one in heard if isinstance(one, Line)]
    await provider.stop("box-1")
    print(json.dumps({"isolation": sandbox.isolation, "lines": lines, "code": heard[-1].code, "cause": heard[-1].cause}))

asyncio.run(main(*json.loads(sys.argv[1])))
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """How a program ended, what it printed, and how its sandbox called itself."""

    isolation: str
    lines: list[str]
    code: int | None
    cause: str | None


@dataclass(frozen=True, slots=True)
class Ordinary:
    """`command` starts a Python as that user; its sandboxes lie below `root`."""

    command: tuple[str, ...]
    root: Path
    unsafe: bool = False

    def run(self, code: str, **given: float) -> Heard:
        """Run Python `code` in a sandbox with these limits."""
        shape = {"wall": 20, "processes": 64, **given}
        told = json.dumps([str(self.root), self.unsafe, shape, ["/usr/bin/python3", "-c", spelled(code)]])
        done = subprocess.run([*self.command, "-c", _SERVICE, told], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return Heard(**json.loads(done.stdout.splitlines()[-1]))


def command() -> tuple[str, ...]:
    """A Python as a user without control groups: ourselves, or whom root can become; skips where there is neither."""
    if os.geteuid() != 0:
        return (
            (sys.executable,) if limits.find() == limits.NONE else _skip("this user has control groups, so their absence cannot be tried")
        )
    drop = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "env", "-i", "PATH=/usr/bin:/bin", f"PYTHONPATH={_path()}")
    for python in (sys.executable, "/usr/bin/python3"):
        if _works((*drop, python)):
            return (*drop, python)
    return _skip(f"uid {UID} can start no Python that has Trunkline's dependencies, or setpriv is missing")


def _path() -> str:
    """Our packages and their dependencies; the other Python has a standard library of its own."""
    return os.pathsep.join(path for path in sys.path if path and not Path(path).is_relative_to(sys.base_prefix))


def _works(python: Sequence[str]) -> bool:
    try:
        done = subprocess.run(
            [*python, "-c", "import trunkline_sandbox.adapters.providers.local"], capture_output=True, timeout=30, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def _skip(why: str) -> tuple[str, ...]:
    pytest.skip(why)
