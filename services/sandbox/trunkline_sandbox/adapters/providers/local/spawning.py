"""Start a program so that it outlives us: limited before its first instruction, detached, and nobody's child."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trunkline.contracts.errors import Unavailable
from trunkline_sandbox.adapters.providers.local import limits, mounting, seats
from trunkline_sandbox.adapters.providers.local.places import Record
from trunkline_sandbox.adapters.providers.local.staging import Stage

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_DETACH = """
read -r go || exit 1
while [ "$1" != -- ]; do echo 0 >"$1" || exit 1; shift; done
shift
"$@" </dev/null >/dev/null & echo $!
"""
"""Enters its control groups, starts the program and leaves it to init; when we die before that, nothing is started."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A program to be started: as the user of `stage`, with what that shows it. The log is the program's stderr."""

    command: tuple[str, ...]
    fds: tuple[int, ...]
    env: dict[str, str]
    stage: Stage

    def popen(self, argv: tuple[str, ...], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        """`argv` in its own session, as the stage's user and behind its mounts. Raises OSError."""
        return mounting.apart(lambda: self._staged(argv, stderr)) if self.stage.mounts else self._popen(argv, stderr)

    def _staged(self, argv: tuple[str, ...], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        self.stage.lay_out()
        return self._popen(argv, stderr)

    def _popen(self, argv: tuple[str, ...], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.stage.dropped(argv),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, pass_fds=self.fds, env={"PATH": _PATH, **self.env}, cwd="/",
            start_new_session=True,
        )  # fmt: skip


def spawn(plan: Plan, record: Record, log: Path) -> int:
    """Start it in its control groups, or on its processors, and return its pid; it is not our child. Raises Unavailable."""
    try:
        with open(log, "ab") as stderr, seats.seated(record.seats):
            doors = limits.doors(record.cage, plan.stage.uid)
            child = plan.popen(("/bin/sh", "-c", _DETACH, "sh", *doors, "--", *plan.command), stderr)
        return _let_go(child, record)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        why = log.read_bytes()[-300:].decode(errors="replace").strip() or error
        raise Unavailable(f"The sandbox could not be started: {why}.", code="SANDBOX_START_FAILED") from error


def _let_go(child: subprocess.Popen[bytes], record: Record) -> int:
    """The pid of what it starts, in the groups where it waits for our word."""
    try:
        limits.join(record.cage, child.pid)
        said, _ = child.communicate(b"go\n", timeout=10)
        return int(said)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def attempt(plan: Plan) -> str:
    """Run it to its end; what it printed to stdout and stderr."""
    with tempfile.TemporaryFile() as stderr:
        child = plan.popen(plan.command, stderr)
        try:
            said, _ = child.communicate(timeout=20)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        stderr.seek(0)
        return (said + stderr.read()[-300:]).decode(errors="replace").strip()
