"""What can be asked about named sandboxes; a caller knows its own, whoever runs the house those of the whole tenant."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from trunkline.auth.policy import sees_all
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import Broken, Conflict, Invalid, NotFound
from trunkline.contracts.message import Command
from trunkline.contracts.sandbox import (
    SERVICE,
    DeleteSandbox,
    EnsureSandbox,
    GetSandbox,
    ListSandboxes,
    SandboxPage,
    SandboxStatus,
    SandboxTerms,
    SandboxUsage,
    SandboxUsageView,
    SandboxView,
    StartSandbox,
    StopSandbox,
    TouchSandbox,
)
from trunkline_gateway.ports import Commands
from trunkline_gateway.usecases import struck

NO_ID: Final = "-"
PREFIX: Final = "sbx-"
RESTART_S: Final = 60.0
_LOOKS: Final = 0.05, 0.1, 0.2, 0.5
"""Seconds between two looks at one that starts; the last goes on."""


@dataclass(frozen=True, slots=True)
class SandboxWish:
    """A sandbox as asked for."""

    user: str
    provider: str = ""
    terms: SandboxTerms = SandboxTerms()  # noqa: RUF009  # frozen
    reuse: bool = True


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """Every verb about one sandbox raises NotFound SANDBOX_NOT_FOUND for one that the caller does not have; each may raise Unavailable."""

    commands: Commands
    now: Callable[[], datetime]

    async def ensure(self, principal: Principal, wish: SandboxWish, *, id: str) -> SandboxView:
        """The same `id` again makes no second one. Raises Invalid, Denied, Unsupported, Exhausted."""
        if struck.text(wish.user) != wish.user:
            raise Invalid("userId: this looks like a secret, and would be stored; name the user otherwise", field="userId")
        labels = {struck.text(name): struck.text(value) for name, value in wish.terms.labels.items()}
        return await self._one(
            EnsureSandbox(
                **self._of(principal),
                sandbox_id=f"{PREFIX}{id}",
                user=wish.user,
                provider=wish.provider,
                terms=wish.terms.model_copy(update={"labels": labels}),
                by=principal.subject,
                owner=principal.subject,
                reuse=wish.reuse,
            ),
            PREFIX + id,
        )

    async def one(self, principal: Principal, sandbox_id: str) -> SandboxView:
        return await self._one(GetSandbox(**self._about(principal, sandbox_id)), sandbox_id)

    async def all(self, principal: Principal, query: ListSandboxes) -> SandboxPage:
        """A page of those that the caller has. Raises Invalid."""
        whose = {**self._of(principal), "owner": _owner(principal)}
        return SandboxPage.model_validate(await self._told(NO_ID, query.model_copy(update=whose)))

    async def stop(self, principal: Principal, sandbox_id: str) -> SandboxView:
        """Raises Conflict SANDBOX_NOT_READY for one that was never ready."""
        return await self._one(StopSandbox(**self._about(principal, sandbox_id), by=principal.subject), sandbox_id)

    async def delete(self, principal: Principal, sandbox_id: str) -> SandboxView:
        return await self._one(DeleteSandbox(**self._about(principal, sandbox_id), by=principal.subject), sandbox_id)

    async def touch(self, principal: Principal, sandbox_id: str) -> SandboxView:
        """It is in use: its idle time begins anew."""
        return await self._one(TouchSandbox(**self._about(principal, sandbox_id)), sandbox_id)

    async def started(self, principal: Principal, sandbox_id: str, within_s: float = RESTART_S, *, user: str | None = None) -> SandboxView:
        """A ready sandbox, started if it was stopped; however many ask, it is started once. `user`: whose it must be.

        Raises Conflict SANDBOX_NOT_READY for one that is being made or in error, Broken SANDBOX_RESTART_FAILED, Exhausted.
        """
        view = await self.one(principal, sandbox_id)
        if user not in (None, view.user):
            raise NotFound("this user has no sandbox by that id; create one for it", code="SANDBOX_NOT_FOUND")
        if view.status is SandboxStatus.READY:
            return view
        if view.status is SandboxStatus.ERROR or view.ready_at is None:
            raise Conflict(
                f"the sandbox is not ready but {view.status} ({view.code or 'being made'}); look at its status", code="SANDBOX_NOT_READY"
            )
        view = await self._one(StartSandbox(**self._about(principal, sandbox_id), by=principal.subject), sandbox_id)
        return await self._awaited(principal, view, time.monotonic() + within_s)

    async def _awaited(self, principal: Principal, view: SandboxView, deadline: float) -> SandboxView:
        looks = 0
        while view.status is SandboxStatus.CREATING and time.monotonic() < deadline:
            await asyncio.sleep(_LOOKS[min(looks, len(_LOOKS) - 1)] * random.uniform(0.8, 1.2))
            looks, view = looks + 1, await self.one(principal, view.sandbox_id)
        if view.status is not SandboxStatus.READY:
            why = view.error or f"it is still {view.status}"
            raise Broken(f"the sandbox could not be started again: {why}; create another one", code="SANDBOX_RESTART_FAILED")
        return view

    async def usage(self, principal: Principal, day: str) -> SandboxUsageView:
        """What the whole tenant used on a day, as yyyymmdd."""
        return SandboxUsageView.model_validate(await self._told(NO_ID, SandboxUsage(**self._of(principal), day=day)))

    async def _one(self, command: Command, sandbox_id: str) -> SandboxView:
        return SandboxView.model_validate(await self._told(sandbox_id, command))

    async def _told(self, id: str, command: Command) -> dict[str, Any]:
        return (await self.commands.send(SERVICE, id, command)).body

    def _about(self, principal: Principal, sandbox_id: str) -> dict[str, Any]:
        return {**self._of(principal), "sandbox_id": sandbox_id, "owner": _owner(principal)}

    def _of(self, principal: Principal) -> dict[str, Any]:
        return {"tenant": principal.tenant, "at": self.now()}


def _owner(principal: Principal) -> str | None:
    return None if sees_all(principal) else principal.subject
