"""Somebody wants a named sandbox: the one that the user prefers, one by its id, or the list of them."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

import structlog

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.errors import Conflict, Unavailable
from trunkline.contracts.ids import SandboxId, TenantId
from trunkline.contracts.message import Accepted
from trunkline.contracts.sandbox import (
    DeleteSandbox,
    EnsureSandbox,
    GetSandbox,
    SandboxStatus,
    SandboxWanted,
    StartSandbox,
    StopSandbox,
    TouchSandbox,
    Why,
)
from trunkline.runtime.actor import Actor
from trunkline_sandbox.handlers.images import Images
from trunkline_sandbox.handlers.named_book import Book, Key
from trunkline_sandbox.handlers.named_host import NamedHost
from trunkline_sandbox.handlers.named_hosts import Hosts
from trunkline_sandbox.handlers.named_minutes import Minutes
from trunkline_sandbox.handlers.named_places import GivePlace
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.model import preferred
from trunkline_sandbox.model.named import Named, view
from trunkline_sandbox.model.named_cues import Cue, Delete, Start, Stop, Touch, Want
from trunkline_sandbox.model.named_deciding import SITE_LOST, unknown
from trunkline_sandbox.model.preferred import Prefer

log = structlog.get_logger()

ROUNDS: Final = 8
"""Replacements of broken ones that one command follows."""
_PASSING: Final = ("SANDBOX_RESTART_FAILED",)
"""Of one that its provider does not say is broken."""
One = GetSandbox | StartSandbox | StopSandbox | DeleteSandbox | TouchSandbox


class AnswerNamed:
    """The body of each answer is a SandboxView."""

    def __init__(self, book: Book, log: Log, hosts: Hosts, caps: tuple[Caps, Minutes, Images], place: GivePlace) -> None:
        self._book = book
        self._hosts = hosts
        self._caps, self._minutes, self._images = caps
        self._place = place
        self._preferred: Actor[str, Prefer] = Actor(log, preferred.decide, preferred.evolve)

    async def ensure(self, command: EnsureSandbox) -> Accepted:
        """Here, or by a service that has the provider.

        Raises Invalid, Denied, Unsupported, Exhausted SANDBOX_CAP, Broken SNAPSHOT_BUILD_FAILED, Unavailable.
        """
        name = command.provider or self._caps.named or await self._hosts.usual(self._caps.provider)
        host = self._hosts.get(name)
        if host is None:
            return await self._hosts.ask(name, command.model_copy(update={"provider": name}))
        return await self._ensured(command, host)

    async def ensure_here(self, command: EnsureSandbox) -> Accepted:
        """What another service was asked for, and has no provider for. Raises as `ensure`."""
        host = self._hosts.get(command.provider)
        if host is None:
            raise Unavailable(f"this service does not have the provider {command.provider}", code="NO_OWNER")
        return await self._ensured(command, host)

    async def _ensured(self, command: EnsureSandbox, host: NamedHost) -> Accepted:
        terms = self._caps.settled(command.terms, host)
        wanted = SandboxWanted(user=command.user, provider=host.name, terms=terms, by=command.by)
        if not command.reuse:
            key = Key(command.tenant, SandboxId(command.sandbox_id))
            return await self._made(key, wanted, command, new=await self._book.look(key) is None)
        return await self._reused(wanted, command)

    async def _reused(self, wanted: SandboxWanted, command: EnsureSandbox) -> Accepted:
        user = preferred.user_key(command.user, wanted.provider, command.owner)
        where = subjects.preferred(TenantId(command.tenant), user)
        cue = Prefer(command.sandbox_id)
        for _ in range(ROUNDS):
            chosen = (await self._preferred.receive(where, cue, command.at, command.type)).state
            assert chosen is not None
            key = Key(command.tenant, SandboxId(chosen))
            named = await self._book.look(key)
            if named is None:
                return await self._made(key, wanted, command, new=True)
            if named.status not in (SandboxStatus.ERROR, SandboxStatus.DELETED) or _may_rise(named):
                return await self._started(key, named, command)
            await self._admitted(key, wanted)  # nothing of the user's goes for one that is not made
            if named.status is SandboxStatus.ERROR and named.code != SITE_LOST:  # an outage must not cost the files that lie there
                await self._book.try_receive(key, Delete(Why.REPLACED, command.by), command.at, command.type)
            cue = Prefer(_next_id(key), instead_of=chosen)
        raise Unavailable("the sandboxes of this user break faster than they are made; try again in a moment", code="CONTENDED")

    async def _started(self, key: Key, named: Named, command: EnsureSandbox) -> Accepted:
        if named.status is not SandboxStatus.STOPPED and not _may_rise(named):
            # Whoever asks for it is about to use it: it must not be stopped for idleness a moment after the answer.
            await self._book.try_receive(key, Touch(command.at), command.at, command.type)
            return _accepted(key, named)
        self._caps.check_minutes(await self._minutes.used_s(key.tenant))
        return await self._told(key, Start(command.by), command.at, command.type)

    async def _made(self, key: Key, wanted: SandboxWanted, command: EnsureSandbox, *, new: bool) -> Accepted:
        if new:
            await self._admitted(key, wanted)
            await self._place(key, wanted.user)
        accepted = await self._told(key, Want(wanted), command.at, command.type)
        log.info("named.wanted", tenant=key.tenant, sandbox=key.id, provider=wanted.provider, by=command.by)
        return accepted

    async def _admitted(self, key: Key, wanted: SandboxWanted) -> None:
        """Whether one may be made now, but for its place. Raises Unsupported, Exhausted, Broken."""
        await self._images.admit(wanted.provider)
        if self._caps.minutes_day:
            self._caps.check_minutes(await self._minutes.used_s(key.tenant))

    async def get(self, command: GetSandbox) -> Accepted:
        """Raises NotFound, Unavailable."""
        key, named = await self._found(command)
        return _accepted(key, named)

    async def start(self, command: StartSandbox) -> Accepted:
        """Raises NotFound, Conflict SANDBOX_NOT_READY, Exhausted, Unavailable."""
        key, named = await self._found(command)
        if named.status is SandboxStatus.STOPPED:
            self._caps.check_minutes(await self._minutes.used_s(key.tenant))
        return await self._told(key, Start(command.by), command.at, command.type)

    async def stop(self, command: StopSandbox) -> Accepted:
        """Raises NotFound, Conflict SANDBOX_NOT_READY, Unavailable."""
        key, _ = await self._found(command)
        return await self._told(key, Stop(command.at, Why.ASKED, command.by), command.at, command.type)

    async def delete(self, command: DeleteSandbox) -> Accepted:
        """What is deleted is deleted again, for a wish may come twice. Raises NotFound, Unavailable."""
        key, named = await self._found(command, over=True)
        if named.over:
            return _accepted(key, named)
        return await self._told(key, Delete(Why.ASKED, command.by), command.at, command.type)

    async def touch(self, command: TouchSandbox) -> Accepted:
        """Raises NotFound, Unavailable."""
        key, _ = await self._found(command)
        return await self._told(key, Touch(command.at), command.at, command.type)

    async def _found(self, command: One, *, over: bool = False) -> tuple[Key, Named]:
        key = Key(command.tenant, SandboxId(command.sandbox_id))
        named = await self._book.look(key)
        if named is None or (named.over and not over) or command.owner not in (None, named.wanted.by):
            raise unknown()
        return key, named

    async def _told(self, key: Key, cue: Cue, at: datetime, cause: str) -> Accepted:
        named = await self._book.receive(key, cue, at, cause)
        if named is None:
            raise Conflict("this sandbox cannot be told anything now; try again", code="SANDBOX_NOT_READY")
        return _accepted(key, named)


def _may_rise(named: Named) -> bool:
    """Whether it only failed to start, as when its provider was away: what is in it may be whole, so it is started again."""
    return named.status is SandboxStatus.ERROR and named.kept and named.code in _PASSING


def _next_id(key: Key) -> str:
    """The same for whoever replaces it, so that many who do make one."""
    return "sbx-" + sha256(f"{key.tenant}/{key.id}/next".encode()).hexdigest()[:32]


def _accepted(key: Key, named: Named) -> Accepted:
    return Accepted(seq=0, body=view(key.id, named).model_dump(mode="json"))
