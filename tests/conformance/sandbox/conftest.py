"""One sandbox provider after the other, each in a directory of its own; whatever is left at the end is ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import Box
from trunkline_sandbox.adapters.providers.local import LocalProvider, kill_all


@pytest.fixture
def root() -> Iterator[Path]:
    dir = Path(tempfile.mkdtemp(prefix="tls-", dir="/tmp"))
    dir.chmod(0o711)
    yield dir / "boxes"
    kill_all(dir / "boxes")
    shutil.rmtree(dir)


@pytest.fixture(params=["local", "local --unsafe-local"])
def box(root: Path, request: pytest.FixtureRequest) -> Iterator[Box]:
    """A sandbox of every provider: for what holds on all of them."""
    provider = LocalProvider(root, unsafe="unsafe" in request.param)
    yield Box(provider, root)
    provider.close()


@pytest.fixture
def walled(root: Path) -> Iterator[Box]:
    """A sandbox with walls: for what holds only behind them."""
    provider = LocalProvider(root)
    yield Box(provider, root)
    provider.close()
