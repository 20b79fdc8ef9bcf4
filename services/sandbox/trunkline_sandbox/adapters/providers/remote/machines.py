"""Exactly one machine for each sandbox of ours, whatever becomes of the calls that make it."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

import structlog

from trunkline.contracts.errors import Conflict, Denied, DomainError, Exhausted, Invalid, NotFound, Unavailable, Unsupported
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.remote.cloud import OURS, SANDBOX, Cloud, Machine, Wish
from trunkline_sandbox.adapters.providers.remote.image_cloud import called
from trunkline_sandbox.adapters.providers.remote.options import RemoteOptions
from trunkline_sandbox.adapters.providers.remote.vendor import Vendor
from trunkline_sandbox.handlers.image_host import IMAGE, IMAGE_GONE, gone
from trunkline_sandbox.handlers.named_host import NAMED
from trunkline_sandbox.ports import SandboxSpec

log = structlog.get_logger(__name__)
TRIES: Final = 4
_RESERVED: Final = "trunkline."
_USELESS: Final = ("SANDBOX_NOT_READY", IMAGE_GONE)
"""No further try makes it better."""


class Machines:
    """Made, found, woken and deleted by the label that names the sandbox."""

    def __init__(self, cloud: Cloud, options: RemoteOptions) -> None:
        self._cloud, self._options = cloud, options
        self._known: dict[SandboxId, str] = {}
        """Which machine a named sandbox was last: another that turns up for it later, however old, is the twin."""

    async def ensure(self, spec: SandboxSpec) -> Machine:
        """Ready when it returns. What a failed call left behind is taken or deleted. Raises Unavailable, Exhausted, Invalid, Denied."""
        return self._noted(spec.id, await self._ensured(spec))

    def _noted(self, id: SandboxId, machine: Machine) -> Machine:
        if NAMED in machine.labels:
            self._known[id] = machine.id
        return machine

    async def _ensured(self, spec: SandboxSpec) -> Machine:
        wish = self._wish(spec)
        for attempt in range(1, TRIES + 1):
            try:
                found = await self.find(spec.id)
                return await (self._take(found) if found else self._make(spec.id, wish))
            except DomainError as error:
                last = await self._after(spec.id, _missing(wish, error))
                if isinstance(last, Machine):
                    return last
                if attempt == TRIES or isinstance(last, Denied | Invalid | Unsupported) or last.code in _USELESS:
                    raise last from error
                log.info("cloud.create_repeated", cloud=self._cloud.vendor.id, sandbox=spec.id, code=last.code, attempt=attempt)
                await self._pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    async def _make(self, id: SandboxId, wish: Wish) -> Machine:
        made = await self._cloud.create(wish)
        if self._cloud.vendor.unique_names:
            return made
        found = await self.find(id)  # another may have made it at the same time: both take the oldest
        return made if found is None or found.id == made.id else await self._take(found)

    async def _after(self, id: SandboxId, error: DomainError) -> Machine | DomainError:
        """A call that failed may have made one all the same: what is there is the one if it becomes ready, else it is deleted."""
        try:
            found = await self.find(id)
            if found is None:
                return error
            if error.code == "SANDBOX_NOT_READY" or found.meaning == "error":
                await self.delete(id)
                return error
            return await self._take(found)
        except DomainError as again:
            if again.code == "SANDBOX_NOT_READY":
                await self.delete(id)
            return again

    async def _take(self, found: Machine) -> Machine:
        if found.meaning == "error":
            raise Conflict(f"Sandbox {found.name} is {found.state} at {self._cloud.vendor.name}.", code="SANDBOX_BROKEN")
        return await self._cloud.wait(found)

    async def find(self, id: SandboxId) -> Machine | None:
        """The oldest by its label, or by its name where the list does not know it yet; what is there twice is deleted, but of named ones,
        in which somebody's files may lie: whoever noted which one it is drops the others."""
        found = await self._cloud.list(id)
        if found and NAMED in found[0].labels:
            return next((one for one in found if one.id == self._known.get(id)), found[0])
        for twin in found[1:]:
            log.warning("cloud.made_twice", cloud=self._cloud.vendor.id, sandbox=id, machine=twin.id)
            await self._cloud.delete(twin)
        if found:
            return found[0]
        named = await self._cloud.named(self._name(id))
        return named if named and named.labels.get(SANDBOX) == id and named.labels.get(OURS) == self._options.fleet else None

    async def awake(self, id: SandboxId) -> Machine:
        """One that is there, started if it was stopped. Raises NotFound, Unavailable, Conflict SANDBOX_BROKEN."""
        found = await self.find(id)
        if found is None:
            raise NotFound(f"There is no sandbox {id} at {self._cloud.vendor.name}.", code="SANDBOX_NOT_FOUND")
        return self._noted(id, await self._take(found))

    async def rest(self, id: SandboxId) -> None:
        """Stopped when it returns. Raises NotFound, Unavailable."""
        for attempt in range(1, TRIES + 1):
            found = await self.find(id)
            if found is None:
                raise NotFound(f"There is no sandbox {id} at {self._cloud.vendor.name}.", code="SANDBOX_NOT_FOUND")
            if found.meaning == "stopped":
                return
            try:
                return await self._cloud.halt(found)
            except DomainError as error:
                if attempt == TRIES or isinstance(error, Denied | Unsupported):
                    raise
            await self._pause(attempt)

    async def delete(self, id: SandboxId) -> None:
        """One that is not there is deleted. Raises Unavailable when its cloud does not do it."""
        for attempt in range(1, TRIES + 1):
            try:
                if (found := await self.find(id)) is None:
                    self._known.pop(id, None)
                    return
                await self._cloud.delete(found)
                if await self.find(id) is None:
                    self._known.pop(id, None)
                    return
            except DomainError as error:
                if attempt == TRIES or isinstance(error, Denied | Unsupported):
                    raise
            await self._pause(attempt)
        raise Unavailable(
            f"Sandbox {id} is still there after {self._cloud.vendor.name} was asked to delete it.", code="SANDBOX_NOT_REMOVED"
        )

    async def _pause(self, attempt: int) -> None:
        await asyncio.sleep(self._options.pause(attempt))

    def _name(self, id: SandboxId) -> str:
        return f"{self._options.fleet}-{id}"

    def _wish(self, spec: SandboxSpec) -> Wish:
        if any(name.startswith(_RESERVED) for name in spec.labels):
            raise Invalid(f"Labels that begin with {_RESERVED} are ours.", code="BAD_LABEL")
        labels = {**spec.labels, OURS: self._options.fleet, SANDBOX: str(spec.id)}
        named = NAMED in spec.labels
        seconds, idle = self._nets(spec) if named else (spec.limits.wall + self._options.lives_s, 0.0)
        hosts, image = domains(spec.egress, self._cloud.vendor), spec.labels.get(IMAGE, "")
        there = called(self._options.fleet, image) if image else ""
        return Wish(self._name(spec.id), secrets.token_hex(16), labels, seconds, hosts, keep=named, idle_s=idle, image=there)

    def _nets(self, spec: SandboxSpec) -> tuple[float, float]:
        """After how long its cloud deletes a named one, and stops it: later than we do, for when nobody of us is there."""
        span, slack = spec.span, self._options.lives_s
        ttl, idle = (span.ttl, span.idle) if span else (0.0, 0.0)
        return min(ttl + slack, self._options.named_s) if ttl else self._options.named_s, idle + slack if idle else 0.0


def _missing(wish: Wish, error: DomainError) -> DomainError:
    """What a cloud refuses because of the image that is to be the beginning, whatever it says of it elsewhere."""
    if not wish.image or wish.image not in error.message or isinstance(error, Unavailable | Exhausted | Denied):
        return error
    return gone(wish.image, error.message)


def domains(egress: tuple[str, ...], vendor: Vendor) -> tuple[str, ...]:
    """Hosts as clouds can allow them. Raises Unsupported for one with a port: it would open all of that host's ports."""
    if narrow := [rule for rule in egress if ":" in rule]:
        raise Unsupported(
            f"The provider {vendor.id} cannot allow a single port ({', '.join(narrow)}); name the host alone, or run locally.",
            code="PROVIDER_CANNOT_EGRESS_PORT",
        )
    return egress


def readable(machine: Machine) -> dict[str, str]:
    """The labels that were asked for."""
    return {name: value for name, value in machine.labels.items() if not name.startswith(_RESERVED)}
