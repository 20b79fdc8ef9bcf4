"""A provider in a cloud: sandboxes in an account there, each with our runner inside."""

from __future__ import annotations

import asyncio
import gzip
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import BinaryIO, cast

import structlog

from trunkline.contracts.errors import Exhausted, Invalid, NotFound
from trunkline.contracts.ids import SandboxId, token
from trunkline_sandbox.adapters.providers.local import trees
from trunkline_sandbox.adapters.providers.remote import orders
from trunkline_sandbox.adapters.providers.remote.cloud import SANDBOX, Cloud, Machine
from trunkline_sandbox.adapters.providers.remote.following import Follow
from trunkline_sandbox.adapters.providers.remote.image_cloud import ImageCloud
from trunkline_sandbox.adapters.providers.remote.images import CloudImages
from trunkline_sandbox.adapters.providers.remote.inside import parcel
from trunkline_sandbox.adapters.providers.remote.inside.starting import is_tree
from trunkline_sandbox.adapters.providers.remote.machines import Machines, domains, readable
from trunkline_sandbox.adapters.providers.remote.options import RemoteOptions
from trunkline_sandbox.adapters.providers.remote.rooms import Room, Rooms
from trunkline_sandbox.handlers.named_host import Seen
from trunkline_sandbox.model import Entry
from trunkline_sandbox.ports import Ability, Exit, Launch, Line, Sandbox, SandboxSpec

log = structlog.get_logger(__name__)


class RemoteProvider:
    """ports.SandboxProvider; another process may use the same account and fleet at the same time."""

    site = ""

    def __init__(self, cloud: Cloud, options: RemoteOptions, images: ImageCloud | None = None) -> None:
        self.ability = Ability(egress_policy=True, unix_sockets=False, snapshots=images is not None)
        self._options, self._cloud, self._images = options, cloud, images
        self._machines = Machines(cloud, options)
        self._rooms = Rooms(cloud, self._machines, options)

    @property
    def name(self) -> str:
        return self._cloud.vendor.id

    @property
    def isolation(self) -> str:
        return f"{self.name} sandbox, agent and runner as one user in it"

    def images(self, context: Path) -> CloudImages | None:
        """Who builds images there from the Dockerfile in the folder `context`; None where nobody does."""
        return CloudImages(self._images, self._options, context) if self._images else None

    async def ensure(self, spec: SandboxSpec) -> Sandbox:
        """Raises Unavailable, Exhausted, Denied, Invalid; Unsupported for egress to a single port."""
        _check(spec.id)
        domains(spec.egress, self._cloud.vendor)
        return self._told((await self._rooms.ensure(spec)).machine)

    async def give(self, id: SandboxId, workspace: Path) -> None:
        """Raises Conflict while something runs; NotFound when there is no such tree or sandbox; Exhausted when it is too large."""
        if not await asyncio.to_thread(is_tree, str(workspace)):
            return await self._given(id, workspace)
        name, packed = f"in-{secrets.token_hex(8)}", self._folder(id) / "going.gz"
        await self._rooms.within(id, lambda room: room.ask("free"))  # before much is carried for nothing
        await asyncio.to_thread(_pack, workspace, packed, self._options.workspace)

        async def carried(room: Room) -> None:
            await room.put({f"desk/{name}": packed})
            await room.ask("give", name, str(self._options.workspace), seconds=self._options.move_s)

        await self._rooms.within(id, carried)
        await asyncio.to_thread(trees.remove, packed)
        await asyncio.to_thread(trees.remove, workspace)

    async def _given(self, id: SandboxId, workspace: Path) -> None:
        """Called once more after it went well: the tree is gone from here and there already."""
        if not (await self._rooms.within(id, lambda room: room.ask("free"))).given:
            raise NotFound(f"There is no tree at {workspace} to be given.", code="NO_WORKSPACE")

    async def start(self, id: SandboxId, launch: Launch) -> None:
        """Returns when the program runs, or did. Raises Unsupported, Invalid, NotFound, Unavailable, Conflict START_STOPPED."""
        _check(id)
        orders.check(launch, self._cloud.vendor)
        name, parcel_name = orders.run_name(launch.key), f"desk/order-{secrets.token_hex(8)}"

        async def begun(room: Room) -> None:
            if absent := await room.absent(orders.needed(launch)):
                raise orders.missing(absent, self._cloud.vendor)
            await room.put({parcel_name: await asyncio.to_thread(orders.order, room, launch)})
            await room.ask("start", name, parcel_name, room.scripts.runner_name)

        await self._rooms.within(id, begun)

    async def output(self, id: SandboxId, key: str) -> AsyncIterator[Line | Exit]:
        """Raises NotFound when nothing was started under this key; Unavailable when the cloud is away for too long."""
        async with aclosing(Follow(self._rooms, self._options, id, orders.run_name(key)).lines()) as lines:
            async for heard in lines:
                yield heard

    async def tell(self, id: SandboxId, key: str, entry: Entry) -> None:
        """Raises Conflict PROGRAM_ENDED or STDIN_CLOSED (an id that was told before raises neither), NotFound, Exhausted, Invalid."""
        frame, name = orders.frame(entry), f"entry-{secrets.token_hex(8)}"

        async def told(room: Room) -> None:
            await room.put({f"desk/{name}": frame})
            await room.ask("tell", orders.run_name(key), name)

        await self._rooms.within(id, told)

    async def told(self, id: SandboxId, key: str) -> frozenset[str]:
        """Raises NotFound when nothing was started under this key."""
        return (await self._rooms.within(id, lambda room: room.ask("told", orders.run_name(key)))).told

    async def freeze(self, id: SandboxId) -> None:
        """Where nothing runs, nothing is done. Raises NotFound; Unavailable when it does not stand still within seconds."""
        await self._rooms.within(id, lambda room: room.ask("hold", "1"))

    async def thaw(self, id: SandboxId) -> None:
        """Where nothing stands still, nothing is done. Raises NotFound, Unavailable."""
        await self._rooms.within(id, lambda room: room.ask("hold", "0"))

    async def stop(self, id: SandboxId, key: str = "") -> None:
        """A sandbox that is not there is stopped, and one that its cloud has stopped is left so."""
        found = await self._machines.find(id)
        if found is None or found.meaning in ("stopped", "error"):
            return
        words = (orders.run_name(key),) if key else ()
        try:
            await self._rooms.within(id, lambda room: room.ask("stop", *words))
        except NotFound:
            return

    async def end(self, id: SandboxId, key: str) -> None:
        """End one start and no other; one that is not there has ended."""
        await self._one(id, "end", key)

    async def hold(self, id: SandboxId, key: str, still: bool) -> None:
        """One start alone. Raises NotFound, Unavailable."""
        await self._rooms.within(id, lambda room: room.ask("hold", "1" if still else "0", orders.run_name(key)))

    async def forget(self, id: SandboxId, key: str) -> None:
        """Remove what was kept of an ended start; one that runs is left alone."""
        await self._one(id, "forget", key)

    async def _one(self, id: SandboxId, verb: str, key: str) -> None:
        """Nothing is woken for it."""
        found = await self._machines.find(id)
        if found is not None and found.meaning not in ("stopped", "error"):
            with suppress(NotFound):
                await self._rooms.within(id, lambda room: room.ask(verb, orders.run_name(key)))

    async def take(self, id: SandboxId) -> Path:
        """Raises Conflict while something runs; Invalid when what comes back is no tree; Exhausted when it is too large."""
        name, most = f"out-{secrets.token_hex(8)}", self._options.workspace
        packed, tree = self._folder(id) / "coming.gz", self._folder(id) / "workspace"

        async def fetched(room: Room) -> None:
            await room.ask("take", name, str(most), seconds=self._options.move_s)
            await room.cloud.fetch(room.machine, f"{room.base}/desk/{name}", packed, most)

        await self._rooms.within(id, fetched)
        await asyncio.to_thread(_unpack, packed, tree, most)
        return tree

    async def remove(self, id: SandboxId) -> None:
        """A sandbox that is not there is removed."""
        _check(id)
        self._rooms.forget(id)
        await self._machines.delete(id)
        await asyncio.to_thread(trees.remove, self._options.folder / token(id))

    async def list(self) -> list[Sandbox]:
        return [self._told(machine) for machine in {one.labels.get(SANDBOX, one.id): one for one in await self._cloud.list()}.values()]

    async def rouse(self, id: SandboxId) -> None:
        """Start one that is stopped. Raises NotFound, Unavailable, Conflict SANDBOX_BROKEN."""
        await self._machines.awake(id)

    async def rest(self, id: SandboxId) -> None:
        """Stop it: its files stay, and whoever works in it again starts it. Raises NotFound, Unavailable."""
        if self._cloud.vendor.keeps_memory:
            await self.stop(id)
        await self._machines.rest(id)
        self._rooms.forget(id)

    async def look(self, id: SandboxId) -> Seen | None:
        found = await self._machines.find(id)
        return _seen(found) if found else None

    async def seen(self) -> Sequence[Seen]:
        return [_seen(machine) for machine in await self._cloud.list()]

    async def drop(self, twin: Seen) -> None:
        """Delete exactly this machine; one that is gone is deleted."""
        found = await self._cloud.get(twin.ref)
        if found and found.id == twin.ref and found.labels.get(SANDBOX) == twin.id:
            self._rooms.forget(twin.id)
            await self._cloud.delete(found)

    async def close(self) -> None:
        """Let go of the connections; what runs goes on running, for the next service to find."""
        await self._cloud.close()

    def _told(self, machine: Machine) -> Sandbox:
        return Sandbox(SandboxId(machine.labels.get(SANDBOX, machine.name)), self.name, self.isolation, readable(machine))

    def _folder(self, id: SandboxId) -> Path:
        folder = self._options.folder / token(id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder


def _check(id: SandboxId) -> None:
    try:
        token(id)
    except ValueError as error:
        raise Invalid(f"A sandbox id {error}.", code="BAD_SANDBOX_ID") from error


def _seen(machine: Machine) -> Seen:
    return Seen(SandboxId(machine.labels.get(SANDBOX, machine.name)), machine.meaning, machine.id, readable(machine))


def _pack(tree: Path, packed: Path, most: int) -> None:
    try:
        with cast(BinaryIO, gzip.open(packed, "wb", compresslevel=1)) as out:
            parcel.pack(str(tree), out, most)
    except parcel.BadParcel as error:
        raise Exhausted(f"The workspace cannot be carried there: {error}.", code="WORKSPACE_TOO_LARGE") from error


def _unpack(packed: Path, tree: Path, most: int) -> None:
    """What came may be anything: nothing in it leads out of the tree."""
    trees.remove(tree)
    tree.mkdir(mode=0o700)
    try:
        with cast(BinaryIO, gzip.open(packed, "rb")) as source:
            parcel.unpack(source, str(tree), most)
    except (parcel.BadParcel, EOFError, OSError) as error:
        raise Invalid(f"What came back from the sandbox is no workspace: {error}.", code="BAD_WORKSPACE") from error
    finally:
        packed.unlink(missing_ok=True)
