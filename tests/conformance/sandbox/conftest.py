"""One sandbox provider after the other, each in a directory of its own; whatever is left at the end is ended."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from pydantic import JsonValue

from tests.campaigns import LONG
from tests.conformance.sandbox.agents import Box
from trunkline.testing import fake_daytona, fake_e2b
from trunkline.testing.fake_daytona import FakeDaytona
from trunkline.testing.fake_e2b import FakeE2b
from trunkline_sandbox.adapters.providers.daytona import DaytonaAccount, DaytonaCloud, DaytonaImages
from trunkline_sandbox.adapters.providers.e2b import E2bAccount, E2bCloud, E2bImages
from trunkline_sandbox.adapters.providers.local import LocalProvider, kill_all
from trunkline_sandbox.adapters.providers.remote import RemoteOptions, RemoteProvider
from trunkline_sandbox.adapters.providers.remote.rooms import scripts

LOCAL = ("local", "local --unsafe-local")
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every promise is tried in one of the clouds, which take turns: most of what they share is one adapter. In the long form in both."""
    if not LONG:
        items[:] = [item for item in items if not isinstance(item, pytest.Function) or _its_turn(item)]


def _its_turn(item: pytest.Function) -> bool:
    given = getattr(item, "callspec", None)
    if given is None or not item.path.is_relative_to(HERE):
        return True
    clouds = [value for value in given.params.values() if value in CLOUDS]
    return not clouds or list(CLOUDS).index(clouds[0]) == crc32(item.nodeid.replace(clouds[0], "").encode()) % len(CLOUDS)


@pytest.fixture
def root() -> Iterator[Path]:
    dir = Path(tempfile.mkdtemp(prefix="tls-", dir="/tmp"))
    dir.chmod(0o711)
    yield dir / "boxes"
    kill_all(dir / "boxes")
    shutil.rmtree(dir)


@pytest.fixture(params=[*LOCAL, "daytona", "e2b"])
async def box(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Box]:
    """A sandbox of every provider: for what holds on all of them."""
    if request.param in CLOUDS:
        async with CLOUDS[request.param](root) as far:
            yield far
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


class Far(Box):
    """A sandbox at an emulated cloud, which the test may trouble."""

    fake: Any
    again: Callable[..., RemoteProvider]

    def code(self, failure: str) -> str:
        """As the provider says it."""
        return f"{self.provider.name.upper()}_{failure}"

    def beside(self, folder: str, key: str = "", **given: float) -> RemoteProvider:
        """Another service's provider before the same cloud."""
        return self.again(self.fake, options(self.root / folder, **given), *([key] if key else []))


def options(root: Path, **given: float) -> RemoteOptions:
    return replace(RemoteOptions(root, pause_s=0.02, call_s=10.0, boot_s=10.0, look_s=0.02), **given)  # type: ignore[arg-type]


def daytona(fake: FakeDaytona, options: RemoteOptions, key: str = fake_daytona.KEY) -> RemoteProvider:
    account = DaytonaAccount(key, fake.url)
    cloud = DaytonaCloud(account, options)
    return RemoteProvider(cloud, options, DaytonaImages(cloud, account, options))


def e2b(fake: FakeE2b, options: RemoteOptions, key: str = fake_e2b.KEY) -> RemoteProvider:
    cloud = E2bCloud(E2bAccount(key, api_url=fake.url, sandbox_url=fake.url), options)
    return RemoteProvider(cloud, options, E2bImages(cloud, options))


@asynccontextmanager
async def at_daytona(root: Path, **given: float) -> AsyncIterator[Far]:
    """The real SDK before an emulated Daytona."""
    root.mkdir(exist_ok=True)
    with _no_authorities(), _storage_without_tls():
        async with (
            FakeDaytona(root / "cloud", check=as_daytona_has_it, image=image()).serving() as fake,
            _before(daytona, fake, root, given) as far,
        ):
            yield far


@asynccontextmanager
async def at_e2b(root: Path, **given: float) -> AsyncIterator[Far]:
    """The real SDK before an emulated E2B."""
    root.mkdir(exist_ok=True)
    async with FakeE2b(root / "cloud", check=as_e2b_has_it, image=image()).serving() as fake, _before(e2b, fake, root, given) as far:
        yield far


@asynccontextmanager
async def _before(make: Callable[..., RemoteProvider], fake: object, root: Path, given: Mapping[str, float]) -> AsyncIterator[Far]:
    far = Far(make(fake, options(root / "ours", **given)), root)
    far.fake, far.again = fake, make
    try:
        yield far
    finally:
        await far.provider.close()


CLOUDS = {"daytona": at_daytona, "e2b": at_e2b}


@cache
def image() -> Path:
    """A home that holds the porter and the runner compiled, as one that was used before: a quarter of what a sandbox costs here."""
    home = Path(tempfile.mkdtemp(prefix="tls-image-"))
    atexit.register(shutil.rmtree, home)
    base, carried = home / ".trunkline", scripts()
    base.mkdir()
    for name, text in ((carried.porter_name, carried.porter), (carried.runner_name, carried.runner), ("record.new", "{}")):
        (base / name).write_text(text)
    make: list[str | Path] = [base / carried.porter_name, "make", *carried.names, "record.new"]
    subprocess.run(
        ["python3", "-I", "-S", "-E", *make], check=True, env={"PATH": "/usr/local/bin:/usr/bin:/bin"}, stdout=subprocess.DEVNULL
    )
    for path in base.iterdir():
        if path.suffix != ".pyc":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return home


@contextmanager
def _no_authorities() -> Iterator[None]:
    """Each of the SDK's clients reads all of the machine's certificates, for twice 40 ms, and none of these connections has any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)
        patch.setenv("SSL_CERT_DIR", "/nonexistent")
        yield


@contextmanager
def _storage_without_tls() -> Iterator[None]:
    """The SDK's storage refuses an address without TLS, which no address of the loopback has."""
    from daytona._async import object_storage

    real: Callable[..., object] = vars(object_storage)["S3Store"]

    def plain(**given: Any) -> object:
        return real(**{**given, "client_options": {**given["client_options"], "allow_http": True}})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_storage, "S3Store", plain)
        yield


def as_daytona_has_it(model: str, body: Mapping[str, JsonValue]) -> None:
    """A reply that the generated models do not take, or would not send, is no reply of Daytona's."""
    from daytona_api_client_async import models
    from daytona_toolbox_api_client_async import models as toolbox

    kind = getattr(models, model, None) or getattr(toolbox, model)
    told = kind.from_dict(dict(body))
    assert not told.additional_properties, (model, told.additional_properties)


def as_e2b_has_it(model: str, body: Mapping[str, JsonValue]) -> None:
    """The same for E2B's, and for the messages of the daemon inside."""
    from e2b.api.client import models
    from e2b.envd.process import process_pb
    from e2b.sandbox.filesystem.filesystem import WriteInfo

    if model == "StartResponse":
        process_pb.StartResponse.from_json(json.dumps(body))
    elif model == "WriteInfo":
        assert WriteInfo.from_dict(dict(body)).path
    else:
        told = getattr(models, model).from_dict(dict(body))
        assert not told.additional_properties, (model, told.additional_properties)
