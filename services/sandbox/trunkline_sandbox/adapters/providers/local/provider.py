"""The local provider: sandboxes on this machine, made of bubblewrap, user ids and control groups."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from trunkline.contracts.errors import NotFound, Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import copying, images, setting_up
from trunkline_sandbox.adapters.providers.local.boxes import Boxes
from trunkline_sandbox.adapters.providers.local.egress import Egress
from trunkline_sandbox.adapters.providers.local.following import Follow
from trunkline_sandbox.adapters.providers.local.places import Record, place
from trunkline_sandbox.adapters.providers.local.starts_ahead import StartsAhead
from trunkline_sandbox.handlers.named_host import Seen
from trunkline_sandbox.model import Entry
from trunkline_sandbox.ports import Ability, Exit, Launch, Line, Sandbox, SandboxSpec

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)
RESERVE = 256 << 20
MIRRORED = 1 << 30
"""Bytes of a workspace that are copied while it is worked in."""


class LocalProvider:
    """Sandboxes below the directory `root`; another process may use the same directory at the same time.

    `reserve` is the free disk space in bytes below which large sandboxes are ended. Raises Unavailable, with the remedy, when
    this machine cannot isolate and `unsafe` is not given.
    """

    name = "local"

    def __init__(self, root: Path, *, unsafe: bool = False, reserve: int = RESERVE) -> None:
        self._boxes: Boxes = setting_up.boxes(root.absolute(), unsafe, reserve)
        self.ability = Ability(egress_policy=not unsafe, unix_sockets=True, snapshots=True, egress_ports=True, sizes=not unsafe)
        self._ways_out: dict[SandboxId, Egress] = {}
        self._mirrors: dict[SandboxId, copying.Mirror] = {}
        self._ahead = StartsAhead()
        if unsafe:
            log.warning("sandbox.unsafe_local", meaning="agents run with no isolation at all, as this user", uid=os.getuid())

    @property
    def isolation(self) -> str:
        """How sandboxes are isolated here, for people."""
        return self._boxes.isolation

    @property
    def site(self) -> str:
        """What is below this root only services that share it can reach."""
        return self._boxes.site

    @property
    def root(self) -> Path:
        return self._boxes.root

    def owner(self, id: SandboxId) -> int | None:
        """Whose a sandbox's files are; None: ours. Raises NotFound."""
        return self._boxes.record(id).uid

    async def ensure(self, spec: SandboxSpec) -> Sandbox:
        record = await _blocking(self._boxes.ensure, spec)
        if images.wanted(record):
            await _blocking(images.lay, self._boxes.root, record)
        await self._open_way_out(record)
        return _sandbox(record)

    async def give(self, id: SandboxId, workspace: Path) -> None:
        """Raises Conflict while something runs; NotFound when there is no such tree or sandbox."""
        await _blocking(self._boxes.give, id, workspace, await self._ahead.made(id))

    async def start_ahead(self, id: SandboxId, launch: Launch) -> None:
        """Begin with a start, as far as it goes without the workspace, and return; nothing ever comes of it but speed."""
        self._ahead.begin(id, lambda: self._boxes.make_ahead(id, launch))

    async def start(self, id: SandboxId, launch: Launch) -> None:
        """Returns when the program runs, or did. Raises Invalid, NotFound, Unavailable."""
        await self._open_way_out(self._boxes.record(id))
        dressed = images.dressed(place(self._boxes.root, id), launch)
        await self._ahead.made(id)
        await _blocking(self._start, id, dressed)

    def _start(self, id: SandboxId, launch: Launch) -> None:
        """What was made ahead is taken here, and not by who may be cancelled before this begins."""
        self._boxes.start(id, launch, self._ahead.take(id))

    async def output(self, id: SandboxId, key: str) -> AsyncIterator[Line | Exit]:
        """Raises NotFound when nothing was started under this key."""
        await self._open_way_out(self._boxes.record(id))
        async for heard in Follow(self._boxes, id, key).lines():
            yield heard

    async def tell(self, id: SandboxId, key: str, entry: Entry) -> None:
        """Raises Conflict PROGRAM_ENDED or STDIN_CLOSED (an id that was told before raises neither), NotFound, Exhausted, Invalid."""
        await _blocking(self._boxes.tell, id, key, entry)

    async def told(self, id: SandboxId, key: str) -> frozenset[str]:
        """Raises NotFound when nothing was started under this key."""
        return await _blocking(self._boxes.told, id, key)

    async def freeze(self, id: SandboxId) -> None:
        """Where nothing runs, nothing is done. Raises NotFound; Unavailable when it does not stand still within seconds."""
        await _blocking(self._boxes.hold, id, True)

    async def thaw(self, id: SandboxId) -> None:
        """Where nothing stands still, nothing is done. Raises NotFound, Unavailable."""
        await _blocking(self._boxes.hold, id, False)

    async def stop(self, id: SandboxId, key: str = "") -> None:
        """A sandbox that is not there is stopped."""
        self._ahead.drop(id)
        await _blocking(self._boxes.stop, id, key)

    async def end(self, id: SandboxId, key: str) -> None:
        """End one start and no other; one that is not there has ended."""
        await _blocking(self._boxes.end, id, key)

    async def hold(self, id: SandboxId, key: str, still: bool) -> None:
        """One start alone. Raises NotFound, Unavailable."""
        await _blocking(self._boxes.hold, id, still, key)

    async def forget(self, id: SandboxId, key: str) -> None:
        """One that runs is left alone."""
        await _blocking(self._boxes.forget, id, key)

    async def mirror(self, id: SandboxId, folder: Path) -> bool:
        """One call for a sandbox at a time; False when nothing changed since. Raises Exhausted when it holds too much, NotFound."""
        self._boxes.record(id)
        mirror = self._mirrors.setdefault(id, copying.Mirror(MIRRORED))
        return await _blocking(mirror.update, place(self._boxes.root, id).workspace, folder)

    async def keep_home(self, id: SandboxId, patterns: tuple[str, ...], file: Path, unless: str = "") -> str:
        """Raises Exhausted when it is too much, NotFound."""
        self._boxes.record(id)
        return await _blocking(copying.keep_home, place(self._boxes.root, id).home, patterns, file, unless)

    async def take(self, id: SandboxId) -> Path:
        """Raises Conflict while something runs."""
        return await _blocking(self._boxes.take, id)

    async def remove(self, id: SandboxId) -> None:
        """A sandbox that is not there is removed."""
        self._mirrors.pop(id, None)
        self._ahead.drop(id)
        if way_out := self._ways_out.pop(id, None):
            way_out.close()
        await _blocking(self._boxes.remove, id)

    async def list(self) -> list[Sandbox]:
        return [_sandbox(record) for record in await _blocking(self._boxes.list)]

    async def rest(self, id: SandboxId) -> None:
        """End what runs in a named sandbox; it counts as stopped until it is roused. Raises NotFound."""
        await _blocking(self._boxes.rest, id, True)

    async def rouse(self, id: SandboxId) -> None:
        """Raises NotFound."""
        await _blocking(self._boxes.rest, id, False)

    async def look(self, id: SandboxId) -> Seen | None:
        try:
            return self._seen(await _blocking(self._boxes.record, id))
        except NotFound:
            return None

    async def seen(self) -> Sequence[Seen]:
        return [self._seen(record) for record in await _blocking(self._boxes.list)]

    async def drop(self, twin: Seen) -> None:
        """A folder has one name: nothing is ever there twice."""

    def _seen(self, record: Record) -> Seen:
        id = record.spec.id
        return Seen(id, "stopped" if self._boxes.rests(id) else "ready", str(id), dict(record.spec.labels))

    async def reap(self, keep: Callable[[Sandbox], bool]) -> int:
        """Stop and remove the sandboxes that `keep` does not want; how many there were."""
        orphans = [sandbox for sandbox in await self.list() if not keep(sandbox)]
        for orphan in orphans:
            await self.remove(orphan.id)
            log.info("sandbox.reaped", sandbox=orphan.id)
        return len(orphans)

    def close(self) -> None:
        """Stop carrying traffic; what runs goes on running, for the next service to find."""
        self._ahead.close()
        for way_out in self._ways_out.values():
            way_out.close()
        self._ways_out.clear()

    async def _open_way_out(self, record: Record) -> None:
        """The proxy lives in this process, so whoever attaches to a sandbox opens it anew."""
        id = record.spec.id
        if not record.spec.egress or not self.ability.egress_policy or id in self._ways_out:
            return
        way_out = Egress(place(self._boxes.root, id).egress, record.spec.egress)
        self._ways_out[id] = way_out
        await way_out.open()


async def _blocking(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run it beside the event loop. Raises Unavailable when the disk is full."""
    try:
        return await asyncio.to_thread(call, *args, **kwargs)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Unavailable("The disk that holds the sandboxes is full; free some space and try again.", code="DISK_FULL") from error


def _sandbox(record: Record) -> Sandbox:
    return Sandbox(record.spec.id, "local", record.isolation, dict(record.spec.labels))
