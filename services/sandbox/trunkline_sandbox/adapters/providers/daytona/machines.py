"""Exactly one machine for each sandbox of ours, whatever becomes of the calls that make it."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import structlog

from trunkline.contracts.errors import Conflict, Denied, DomainError, Invalid, NotFound, Unavailable, Unsupported
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.daytona.cloud import OURS, SANDBOX, Cloud, Machine, Wish
from trunkline_sandbox.adapters.providers.daytona.options import DaytonaOptions
from trunkline_sandbox.handlers.named_host import NAMED
from trunkline_sandbox.ports import SandboxSpec

log = structlog.get_logger(__name__)
TRIES: Final = 4
_RESERVED: Final = "trunkline."


class Machines:
    """Made, found, woken and deleted by the label that names the sandbox."""

    def __init__(self, cloud: Cloud, options: DaytonaOptions) -> None:
        self._cloud, self._options = cloud, options

    async def ensure(self, spec: SandboxSpec) -> Machine:
        """Ready when it returns. What a failed call left behind is taken or deleted. Raises Unavailable, Exhausted, Invalid, Denied."""
        wish = self._wish(spec)
        for attempt in range(1, TRIES + 1):
            try:
                found = await self.find(spec.id)
                return await (self._take(found) if found else self._cloud.create(wish))
            except DomainError as error:
                last = await self._after(spec.id, error)
                if isinstance(last, Machine):
                    return last
                if attempt == TRIES or isinstance(last, Denied | Invalid | Unsupported) or last.code == "SANDBOX_NOT_READY":
                    raise last from error
                log.info("daytona.create_repeated", sandbox=spec.id, code=last.code, attempt=attempt)
                await self._pause(attempt)
        raise AssertionError("the last attempt returns or raises")

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
        if found.meaning == "ready":
            return found
        if found.meaning == "error":
            raise Conflict(f"Sandbox {found.name} is {found.state} at Daytona.", code="SANDBOX_BROKEN")
        return await self._cloud.wait(found)

    async def find(self, id: SandboxId) -> Machine | None:
        """The oldest by its label, or by its name where the list does not know it yet; what is there twice is deleted."""
        found = await self._cloud.list(id)
        for twin in found[1:]:
            log.warning("daytona.made_twice", sandbox=id, machine=twin.id)
            await self._cloud.delete(twin)
        if found:
            return found[0]
        named = await self._cloud.get(self._name(id))
        return named if named and named.labels.get(SANDBOX) == id and named.labels.get(OURS) == self._options.fleet else None

    async def awake(self, id: SandboxId) -> Machine:
        """One that is there, started if it was stopped. Raises NotFound, Unavailable, Conflict SANDBOX_BROKEN."""
        found = await self.find(id)
        if found is None:
            raise NotFound(f"There is no sandbox {id} at Daytona.", code="SANDBOX_NOT_FOUND")
        return await self._take(found)

    async def rest(self, id: SandboxId) -> None:
        """Stopped when it returns. Raises NotFound, Unavailable."""
        for attempt in range(1, TRIES + 1):
            found = await self.find(id)
            if found is None:
                raise NotFound(f"There is no sandbox {id} at Daytona.", code="SANDBOX_NOT_FOUND")
            if found.meaning == "stopped":
                return
            try:
                return await self._cloud.halt(found)
            except DomainError as error:
                if attempt == TRIES or isinstance(error, Denied | Unsupported):
                    raise
            await self._pause(attempt)

    async def delete(self, id: SandboxId) -> None:
        """One that is not there is deleted. Raises Unavailable when Daytona does not do it."""
        for attempt in range(1, TRIES + 1):
            try:
                if (found := await self.find(id)) is None:
                    return
                await self._cloud.delete(found)
                if await self.find(id) is None:
                    return
            except DomainError as error:
                if attempt == TRIES or isinstance(error, Denied | Unsupported):
                    raise
            await self._pause(attempt)
        raise Unavailable(f"Sandbox {id} is still there after Daytona was asked to delete it.", code="SANDBOX_NOT_REMOVED")

    async def _pause(self, attempt: int) -> None:
        await asyncio.sleep(self._options.pause_s * 2 ** (attempt - 1) * random.uniform(0.75, 1.25))

    def _name(self, id: SandboxId) -> str:
        return f"{self._options.fleet}-{id}"

    def _wish(self, spec: SandboxSpec) -> Wish:
        if any(name.startswith(_RESERVED) for name in spec.labels):
            raise Invalid(f"Labels that begin with {_RESERVED} are ours.", code="BAD_LABEL")
        labels = {**spec.labels, OURS: self._options.fleet, SANDBOX: str(spec.id)}
        seconds = self._options.named_s if NAMED in spec.labels else spec.limits.wall + self._options.lives_s
        minutes = int(seconds // 60) + 1
        return Wish(self._name(spec.id), labels, minutes, domains(spec.egress))


def domains(egress: tuple[str, ...]) -> tuple[str, ...]:
    """Hosts as Daytona can allow them. Raises Unsupported for one with a port: it would open all of that host's ports."""
    if narrow := [rule for rule in egress if ":" in rule]:
        raise Unsupported(
            f"The provider daytona cannot allow a single port ({', '.join(narrow)}); name the host alone, or run locally.",
            code="PROVIDER_CANNOT_EGRESS_PORT",
        )
    return egress


def readable(machine: Machine) -> dict[str, str]:
    """The labels that were asked for."""
    return {name: value for name, value in machine.labels.items() if not name.startswith((_RESERVED, "code-toolbox-language"))}
