"""What a provider must be able to do for named sandboxes, beyond what a job's sandbox needs; every call may be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.model.named import Named
from trunkline_sandbox.model.named_cues import State
from trunkline_sandbox.ports import Ability, Sandbox, SandboxSpec

NAMED: Final = "sandbox"
"""The label that tells a named sandbox from a job's own; its value is the sandbox's id, as `trunkline.sandbox` is at a provider's."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A sandbox of ours as its provider shows it."""

    id: SandboxId
    state: State
    ref: str
    """The provider's own name for it: two that were made of one wish differ in it."""
    labels: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class NamedHost(Protocol):
    """Where named sandboxes live."""

    @property
    def name(self) -> str: ...

    @property
    def isolation(self) -> str: ...

    @property
    def ability(self) -> Ability: ...

    @property
    def site(self) -> str:
        """Where what it makes here is kept, if only services of that site can reach it; empty: every replica can."""
        ...

    async def ensure(self, spec: SandboxSpec) -> Sandbox:
        """Made, or found by its id. It need not be ready yet."""
        ...

    async def rouse(self, id: SandboxId) -> None:
        """Start one that is stopped; it need not be ready yet. Raises NotFound."""
        ...

    async def rest(self, id: SandboxId) -> None:
        """End what runs in it, keep its files and free the rest. Raises NotFound."""
        ...

    async def remove(self, id: SandboxId) -> None:
        """One that is not there is removed."""
        ...

    async def look(self, id: SandboxId) -> Seen | None:
        """How it stands now; nothing when it is not there."""
        ...

    async def seen(self) -> Sequence[Seen]:
        """Every sandbox of ours that the provider knows, those of jobs too, and each as often as it was made."""
        ...

    async def drop(self, twin: Seen) -> None:
        """Remove exactly this one of several that were made of one wish."""
        ...


def reaches(host: NamedHost | None, site: str) -> bool:
    """Whether a replica with this provider can do anything to what is kept at `site`."""
    return not site or (host is not None and host.site == site)


def acts_on(host: NamedHost | None, named: Named) -> bool:
    """Whether a replica with this provider is to do anything to it.

    Where there are sites and nobody noted that of one which is kept, as before there were any, only its end is anybody's:
    whoever has it says so.
    """
    if named.site or host is None or not host.site or not named.kept:
        return reaches(host, named.site)
    return named.over
