"""A job that was fetched and checked out, and a trap for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.conformance.git.job import FILES, Job
from trunkline.testing.repositories import make_bare
from trunkline_sandbox.adapters.git import GitProgram


@pytest.fixture
def folder() -> Iterator[Path]:
    """Apart from pytest's own folders, whose clearing ends at a thousand levels."""
    made = Path(mkdtemp(prefix="trunkline-git-"))
    yield made
    subprocess.run(["rm", "-rf", made], check=True)


@pytest.fixture
async def job(folder: Path) -> Job:
    made = Job(make_bare(folder / "forge", "acme/calc", FILES), folder / "job/bare", folder / "job/tree", "", GitProgram(seconds=30))
    made.base = await made.git.fetch(made.remote, "main", made.bare)
    await made.git.checkout(made.bare, made.base, made.tree)
    return made


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that must not run; it leaves `sprung` beside it when it does."""
    program = tmp_path / "trap"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    program.chmod(0o755)
    return program
