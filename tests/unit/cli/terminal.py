"""Runs a command of ours on a pseudo-terminal, as a person does, or with its output in a pipe, as a script does."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping

WITHIN = 30.0
LOOKED_AT = {"TERM": "xterm-256color", "COLUMNS": "160", "LINES": "40"}


def on_a_terminal(words: list[str], environment: Mapping[str, str], typed: str = "") -> tuple[int, str]:
    """Its exit code, and all that the terminal was sent. `typed` lies there before anybody asks."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, **LOOKED_AT, **environment}
    process = subprocess.Popen(_argv(words), stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True)
    os.close(theirs)
    try:
        os.write(ours, typed.encode())
        said = _read(ours)
        return process.wait(WITHIN), said.decode()
    finally:
        os.close(ours)
        process.kill()
        process.wait()


def in_a_pipe(words: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_argv(words), env={**os.environ, **environment}, capture_output=True, text=True, timeout=WITHIN, check=False)


def _argv(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "trunkline_cli", *words]


def _read(terminal: int) -> bytes:
    """Until whoever writes there has gone, which Linux tells by an error."""
    said = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            return said
        if not piece:
            return said
        said += piece
