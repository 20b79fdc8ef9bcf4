"""Where the nats-server of an installation is, for whoever looks after it from here: an outside one, or that of a data directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import BaseModel, SecretStr, ValidationError

from trunkline.bus.settings import BusSettings
from trunkline.contracts.errors import DomainError, NotFound, Unavailable
from trunkline_cli import unfinished
from trunkline_cli.data_dir import held
from trunkline_cli.nats_config import Credentials
from trunkline_cli.nats_server import NatsServer, prepare, until_ready
from trunkline_cli.nats_wire import greet
from trunkline_cli.settings import StackSettings
from trunkline_cli.supervisor import Switch, innermost


class _Kept(BaseModel):
    """The part of the embedded server's memory that tells where it would be."""

    control: str
    clients: int
    monitor: int


def own_place(root: Path) -> StackSettings:
    """A stack with a server of its own, by nothing but its data directory."""
    return StackSettings.model_validate({"data_dir": root})


class Place(BaseModel):
    """How a nats-server is reached, and where it tells of itself."""

    settings: BusSettings
    monitor: str = ""


def place_of(stack: StackSettings) -> Place | None:
    """None for a data directory that never had a server of its own."""
    if stack.nats_url:
        return Place(settings=_reached(stack.nats_url, stack.nats_user, stack.nats_password), monitor=stack.nats_monitor)
    try:
        kept = _Kept.model_validate_json((stack.root() / "nats" / "secrets.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return Place(settings=_own(f"nats://127.0.0.1:{kept.clients}", kept.control), monitor=f"http://127.0.0.1:{kept.monitor}")


@asynccontextmanager
async def reached(stack: StackSettings) -> AsyncIterator[BusSettings]:
    """The server of an installation that runs; else, of one at rest, its own, for as long as this lasts.

    Raises NotFound NO_LOG, Unavailable, Conflict.
    """
    place = place_of(stack)
    if place is None:
        raise NotFound(f"There is no Trunkline in {stack.root()}: name another --data-dir, or --nats URL.", code="NO_LOG")
    if stack.nats_url or await _runs(place.settings):
        yield place.settings
        return
    async with own_server(stack.root(), int(stack.nats_store_limit)) as settings:
        yield settings


@asynccontextmanager
async def own_server(root: Path, limit: int, look: Callable[[Path], None] = unfinished.refuse) -> AsyncIterator[BusSettings]:
    """A server on the store of `root` and nobody else on it, after a `look` at the place.

    Raises Conflict DATA_DIR_IN_USE or what the look does, Exhausted, Unavailable.
    """
    with held(root):
        look(root)
        server = prepare(root, limit)
        try:
            async with _living(server):
                yield _own(server.url, server.credentials.control)
        except BaseExceptionGroup as errors:
            raise innermost(errors) from errors


@asynccontextmanager
async def _living(server: NatsServer) -> AsyncIterator[None]:
    switch = Switch()
    async with asyncio.TaskGroup() as group:
        group.create_task(_alive(server, switch))
        await until_ready(switch)
        try:
            yield
        finally:
            switch.stop.set()


async def _alive(server: NatsServer, switch: Switch) -> None:
    how = await server(switch)
    if not switch.stop.is_set():
        raise Unavailable(f"nats-server ended ({how}).", code="BUS_AWAY")


async def _runs(settings: BusSettings) -> bool:
    try:
        await greet(settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value())
    except DomainError:
        return False
    return True


def _own(url: str, password: str) -> BusSettings:
    return _reached(url, Credentials.CONTROL_USER, SecretStr(password))


def _reached(url: str, user: str, password: SecretStr) -> BusSettings:
    return BusSettings.model_validate({"nats_url": url, "nats_user": user, "nats_password": password})
