"""A program of a user is checked by `mypy --strict` against the types that are shipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT
from tests.campaigns import LONG

PROGRAM = Path(__file__).with_name("typed_program.py")


def test_types_are_shipped() -> None:
    assert (ROOT / "libs" / "trunkline" / "py.typed").is_file()


@pytest.mark.skipif(not LONG, reason="five seconds of a processor; `make campaigns` does it")
def test_a_users_program_is_typed_without_any_settings(tmp_path: Path) -> None:
    options = ["--strict", "--warn-unused-ignores", "--config-file=", "--follow-imports=silent", f"--cache-dir={tmp_path}"]
    done = subprocess.run([sys.executable, "-m", "mypy", *options, str(PROGRAM)], cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
