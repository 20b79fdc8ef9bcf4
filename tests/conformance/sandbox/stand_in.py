"""A provider of named sandboxes in memory which does wrong what real ones do wrong, as often as it is told to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from trunkline.contracts.errors import Exhausted, NotFound, Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.handlers.named_host import Seen
from trunkline_sandbox.model.named_cues import State
from trunkline_sandbox.ports import Ability, Sandbox, SandboxSpec


class Fault(StrEnum):
    TIMEOUT = "timeout"
    ERROR = "500"
    BUSY = "429"
    LOST = "lost"
    """It makes one, and its answer does not arrive."""
    LATE = "late"
    """It says that it failed, and makes one a moment later all the same."""
    TWICE = "twice"
    NEVER = "never_ready"
    VANISHES = "vanishes"
    HANGS = "hangs"
    """A call does not come back."""
    LIES = "lies"
    """It says for a while that it is in error."""


@dataclass
class Cloud:
    """What the provider has; `faults` are used up, the first of a call's name first."""

    name: str = "cloud"
    isolation: str = "none"
    site: str = ""
    ability: Ability = Ability(egress_policy=False, unix_sockets=False, sizes=True)
    machines: dict[str, Seen] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """By the id of the sandbox, or `*`; by call for others: `rouse`, `remove`."""
    calls: Counter[str] = field(default_factory=Counter)
    hidden: set[str] = field(default_factory=set)
    """Refs that no list shows yet."""
    _made: int = 0
    _late: list[asyncio.Task[None]] = field(default_factory=list)

    async def ensure(self, spec: SandboxSpec) -> Sandbox:
        self.calls["ensure"] += 1
        await asyncio.sleep(0)
        await self._hang(fault := self._fault(spec.id) or self._fault("*"))
        self._refuse(fault)
        if not self._of(spec.id):
            await self._make(spec, fault)
        if fault is Fault.LOST:
            raise Unavailable("the connection was lost", code="PROVIDER_AWAY")
        return Sandbox(spec.id, self.name, self.isolation, spec.labels)

    async def _make(self, spec: SandboxSpec, fault: Fault | None) -> None:
        if fault is Fault.LATE:
            self._late.append(asyncio.get_running_loop().create_task(self._later(spec)))
            raise Unavailable("the provider failed", code="PROVIDER_AWAY")
        state: State = "creating" if fault is Fault.NEVER else "error" if fault is Fault.LIES else "ready"
        self.add(spec.id, dict(spec.labels), state)
        if fault is Fault.TWICE:
            self.add(spec.id, dict(spec.labels))
        if fault is Fault.LIES:
            self._late.append(asyncio.get_running_loop().create_task(self._come_clean(spec.id)))
        if fault is Fault.VANISHES:
            self._late.append(asyncio.get_running_loop().create_task(self._vanish(spec.id)))

    async def rouse(self, id: SandboxId) -> None:
        self.calls["rouse"] += 1
        self._refuse(self._fault("rouse"))
        self.stand(id, "ready")

    async def rest(self, id: SandboxId) -> None:
        self.calls["rest"] += 1
        self._refuse(self._fault("rest"))
        self.stand(id, "stopped")

    async def remove(self, id: SandboxId) -> None:
        self.calls["remove"] += 1
        await self._hang(fault := self._fault("remove"))
        self._refuse(fault)
        for seen in self._of(id):
            del self.machines[seen.ref]

    async def look(self, id: SandboxId) -> Seen | None:
        await asyncio.sleep(0)
        return next(iter(self._of(id)), None)

    async def seen(self) -> Sequence[Seen]:
        self._refuse(self._fault("seen"))
        return [seen for seen in self.machines.values() if seen.ref not in self.hidden]

    async def drop(self, twin: Seen) -> None:
        self.machines.pop(twin.ref, None)

    def add(self, id: str, labels: Mapping[str, str], state: State = "ready") -> Seen:
        self._made += 1
        seen = Seen(SandboxId(id), state, f"m{self._made:06}", labels)
        self.machines[seen.ref] = seen
        return seen

    def stand(self, id: str, state: State) -> None:
        """All of this id are so from now on. Raises NotFound."""
        for seen in self._of(id) or self._nobody():
            self.machines[seen.ref] = replace(seen, state=state)

    async def settle(self) -> None:
        """Returns when nothing comes late any more."""
        for late in self._late:
            await late
        self._late.clear()

    def _of(self, id: str) -> list[Seen]:
        return [seen for seen in self.machines.values() if seen.id == id]

    def _nobody(self) -> list[Seen]:
        raise NotFound("no such machine", code="PROVIDER_404")

    def _fault(self, name: str) -> Fault | None:
        return faults.pop(0) if (faults := self.faults.get(name)) else None

    async def _hang(self, fault: Fault | None) -> None:
        if fault is Fault.HANGS:
            await asyncio.Event().wait()

    def _refuse(self, fault: Fault | None) -> None:
        match fault:
            case Fault.TIMEOUT:
                raise TimeoutError
            case Fault.ERROR:
                raise RuntimeError("500 Internal Server Error")
            case Fault.BUSY:
                raise Exhausted("slower, please", code="PROVIDER_BUSY", retry_after=1)
            case _:
                pass

    async def _later(self, spec: SandboxSpec) -> None:
        await asyncio.sleep(0.05)
        self.add(spec.id, dict(spec.labels))

    async def _come_clean(self, id: str) -> None:
        await asyncio.sleep(0.05)
        if self._of(id):
            self.stand(id, "ready")

    async def _vanish(self, id: str) -> None:
        await asyncio.sleep(0.03)
        for seen in self._of(id):
            del self.machines[seen.ref]
