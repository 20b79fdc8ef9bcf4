"""The embedded nats-server: loopback only, always-sync, its own store and credentials, the same port after every restart."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from asyncio.subprocess import Process
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from trunkline.auth.nkeys import Issuer, new_seed
from trunkline.contracts.errors import DomainError, Exhausted, Invalid, Unavailable
from trunkline_cli import children, nats_binary, nats_store
from trunkline_cli.data_dir import write_private
from trunkline_cli.nats_config import SMALLEST_STORE, Credentials, Ports, render, store_limit
from trunkline_cli.nats_disk import until_room_after_full
from trunkline_cli.nats_wire import greet
from trunkline_cli.sockets import free_port
from trunkline_cli.supervisor import Switch

START: Final = 30.0
"""Seconds that a large store may take to be read."""
LOG: Final = "nats-server.log"
CALLOUT: Final = "callout.seed"
"""What the gateway vouches for agents with."""
PATIENCE: Final = 0.8
"""Seconds from SIGTERM to SIGKILL: with always-sync a kill costs nothing that was acknowledged."""


class _Kept(BaseModel):
    """What is remembered in the data directory, for its owner's eyes only."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    control: str
    system: str
    clients: int
    monitor: int


@dataclass(frozen=True, slots=True)
class NatsServer:
    """A server that is configured and may be run; running it again gives the same addresses."""

    folder: Path
    binary: Path
    version: str
    ports: Ports
    credentials: Credentials

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.ports.clients}"

    @property
    def callout(self) -> Path:
        """Where the seed lies by which agents are let in."""
        return self.folder / CALLOUT

    @property
    def monitor(self) -> str:
        return f"http://127.0.0.1:{self.ports.monitor}"

    async def __call__(self, switch: Switch) -> str:
        """One life of the server."""
        argv = [str(self.binary), "-c", str(self.folder / "nats.conf")]
        process = await children.spawn(argv, {"PATH": os.defpath})
        try:
            return await self._watch(process, switch)
        finally:
            children.kill(process)

    async def _watch(self, process: Process, switch: Switch) -> str:
        freed = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell_ready(switch))
            ending = group.create_task(children.end_when_told(process, switch.stop, PATIENCE))
            healing = group.create_task(_end_after_full_disk(process, self.folder / LOG, freed))
            await process.wait()
            for task in (telling, ending, healing):
                task.cancel()
        if freed.is_set():
            return "its disk was full and has room again"
        return children.ending(process.returncode) + ("" if switch.ready.is_set() else f"; it said: {self._last_words()}")

    async def _tell_ready(self, switch: Switch) -> None:
        async with asyncio.timeout(START):
            while True:
                try:
                    await greet(self.url, Credentials.CONTROL_USER, self.credentials.control)
                    break
                except DomainError:
                    await asyncio.sleep(0.01)
        switch.ready.set()

    def _last_words(self) -> str:
        try:
            lines = (self.folder / LOG).read_text("utf-8", "replace").splitlines()
        except OSError:
            return "nothing"
        return lines[-1] if lines else "nothing"


def prepare(root: Path, wanted: int) -> NatsServer:
    """Write the configuration below `root/nats`; `wanted` is the most bytes that the store may take.

    Ports and credentials are those of last time; a port that somebody else took meanwhile is replaced.
    Raises Unsupported without a usable nats-server, Exhausted (DISK_FULL) without room for a store.
    """
    folder = root / "nats"
    nats_store.finish(folder / "store")
    binary = nats_binary.find()
    version = nats_binary.version(binary)
    kept = _remembered(folder)
    ports = Ports(free_port(kept.clients), free_port(kept.monitor))
    credentials = Credentials(kept.control, kept.system, _issuer(folder / CALLOUT).public)
    now = _Kept(control=kept.control, system=kept.system, clients=ports.clients, monitor=ports.monitor)
    write_private(folder / "secrets.json", now.model_dump_json())
    write_private(folder / "nats.conf", render(folder, ports, credentials, _room(folder, wanted)))
    return NatsServer(folder, binary, version, ports, credentials)


def _issuer(path: Path) -> Issuer:
    """Made once, and again where it cannot be read: whoever was let in before stays so."""
    try:
        return Issuer.of(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, Invalid):
        seed = new_seed()
        write_private(path, seed)
        return Issuer.of(seed)


def _remembered(folder: Path) -> _Kept:
    try:
        return _Kept.model_validate_json((folder / "secrets.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return _Kept(control=secrets.token_urlsafe(32), system=secrets.token_urlsafe(32), clients=0, monitor=0)


def _room(folder: Path, wanted: int) -> int:
    used = sum(file.stat().st_size for file in (folder / "store").rglob("*") if file.is_file())
    limit = store_limit(wanted, shutil.disk_usage(folder).free, used)
    if limit < SMALLEST_STORE:
        raise Exhausted(
            f"The store of {folder} would have {limit >> 20} MiB; at least {SMALLEST_STORE >> 20} are needed. Free some space.",
            code="DISK_FULL",
        )
    return limit


async def _end_after_full_disk(process: Process, log: Path, freed: asyncio.Event) -> None:
    await until_room_after_full(log)
    freed.set()
    await children.end(process, PATIENCE)


async def until_ready(server: Switch, seconds: float = START) -> None:
    """Wait for a switch to be ready. Raises Unavailable (NOT_READY)."""
    try:
        async with asyncio.timeout(seconds):
            await server.ready.wait()
    except TimeoutError:
        raise Unavailable(f"It was not ready within {seconds:.0f} s.", code="NOT_READY") from None
