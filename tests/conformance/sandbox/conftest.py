"""One sandbox provider after the other, each in a directory of its own; whatever is left at the end is ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import JsonValue

from tests.conformance.sandbox.agents import Box
from trunkline.testing.fake_daytona import KEY, FakeDaytona
from trunkline_sandbox.adapters.providers.daytona import DaytonaOptions, DaytonaProvider
from trunkline_sandbox.adapters.providers.local import LocalProvider, kill_all

LOCAL = ("local", "local --unsafe-local")


@pytest.fixture
def root() -> Iterator[Path]:
    dir = Path(tempfile.mkdtemp(prefix="tls-", dir="/tmp"))
    dir.chmod(0o711)
    yield dir / "boxes"
    kill_all(dir / "boxes")
    shutil.rmtree(dir)


@pytest.fixture(params=[*LOCAL, "daytona"])
async def box(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Box]:
    """A sandbox of every provider: for what holds on all of them."""
    if request.param == "daytona":
        async with at_daytona(root) as (provider, _):
            yield Box(provider, root)
        return
    local = LocalProvider(root, unsafe="unsafe" in request.param)
    yield Box(local, root)
    local.close()


@pytest.fixture(params=LOCAL)
def near(root: Path, request: pytest.FixtureRequest) -> Iterator[Box]:
    """A sandbox on this machine: for what shows only in its files, its sockets and the times of its kernel."""
    provider = LocalProvider(root, unsafe="unsafe" in request.param)
    yield Box(provider, root)
    provider.close()


@pytest.fixture
def walled(root: Path) -> Iterator[Box]:
    """A sandbox with walls: for what holds only behind them."""
    provider = LocalProvider(root)
    yield Box(provider, root)
    provider.close()


@asynccontextmanager
async def at_daytona(root: Path, **given: float) -> AsyncIterator[tuple[DaytonaProvider, FakeDaytona]]:
    """The real SDK before an emulated Daytona."""
    root.mkdir(exist_ok=True)
    async with FakeDaytona(root / "cloud", check=as_the_sdk_has_it).serving() as fake:
        options = {"pause_s": 0.02, "call_s": 10.0, "boot_s": 10.0, **given}
        provider = DaytonaProvider(DaytonaOptions(root / "ours", KEY, fake.url, **options))
        try:
            yield provider, fake
        finally:
            await provider.close()


def as_the_sdk_has_it(model: str, body: Mapping[str, JsonValue]) -> None:
    """A reply that the generated models do not take, or would not send, is no reply of Daytona's."""
    from daytona_api_client_async import models
    from daytona_toolbox_api_client_async import models as toolbox

    kind = getattr(models, model, None) or getattr(toolbox, model)
    told = kind.from_dict(dict(body))
    assert not told.additional_properties, (model, told.additional_properties)
