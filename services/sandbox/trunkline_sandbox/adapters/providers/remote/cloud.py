"""What a cloud must be able to do for us: the port between our part of a remote provider and somebody's SDK."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from trunkline_sandbox.adapters.providers.remote.vendor import Vendor

OURS: Final = "trunkline.fleet"
SANDBOX: Final = "trunkline.sandbox"
Meaning = Literal["ready", "stopped", "creating", "moving", "error", "gone"]
"""`moving`: on its way from one of these to another: nothing follows from it, and it is waited for."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A sandbox as its cloud tells of it."""

    id: str
    name: str
    state: str
    """In the cloud's own word."""
    meaning: Meaning
    labels: Mapping[str, str]
    created: str
    handle: object = field(default=None, repr=False, compare=False)
    """Whatever its cloud reaches it by; nobody else looks at it."""
    fresh: bool = False
    """Made by this very call: nothing of ours is in it yet."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A sandbox to be made."""

    name: str
    key: str
    """Says that two calls wish for the same one."""
    labels: Mapping[str, str]
    ttl_s: float
    hosts: tuple[str, ...]
    """What it may reach; none: nothing."""
    keep: bool = False
    """Its files outlive the time that its cloud gives it."""
    idle_s: float = 0.0
    """Stopped by its cloud when nobody called it for so long; 0: never."""
    image: str = ""
    """What it begins with, as it is called there; empty: as the account says."""


class Cloud(Protocol):
    """One account. Every call ends by a deadline, and raises the errors of `vendor`; each may be repeated."""

    @property
    def vendor(self) -> Vendor: ...

    async def create(self, wish: Wish) -> Machine:
        """Returns when it is ready. Raises Unavailable SANDBOX_NOT_READY when it is there and does not become so."""
        ...

    async def list(self, sandbox: str = "") -> list[Machine]:
        """Ours that are there, or those of one id; the oldest first."""
        ...

    async def get(self, id: str) -> Machine | None: ...

    async def named(self, name: str) -> Machine | None:
        """By the name that was wished for; always nothing where sandboxes have no names."""
        ...

    async def wait(self, machine: Machine) -> Machine:
        """Until it is ready, started where it is stopped. Raises Unavailable SANDBOX_NOT_READY, NotFound."""
        ...

    async def halt(self, machine: Machine) -> None:
        """Stop it: its files stay."""
        ...

    async def delete(self, machine: Machine) -> None:
        """One that is gone is deleted."""
        ...

    async def home(self, machine: Machine) -> str:
        """The folder of its user, inside."""
        ...

    async def run(self, machine: Machine, command: str, seconds: float) -> str:
        """What a command printed that ends within `seconds`, however it ends; it carries nothing secret."""
        ...

    async def put(self, machine: Machine, files: Mapping[str, bytes | Path]) -> None:
        """Write files by their absolute path inside."""
        ...

    async def fetch(self, machine: Machine, path: str, target: Path, most: int) -> None:
        """A file from inside. Raises Exhausted when it is more than `most` bytes."""
        ...

    async def follow(self, machine: Machine, command: str, heard: Callable[[str], Awaitable[None]]) -> None:
        """Run a command and tell what it prints to its end, however long that is: whoever listens knows when it is silent for too long."""
        ...

    async def close(self) -> None: ...


def fits(machine: Machine, labels: Mapping[str, str]) -> bool:
    """Asked again here: what is not ours is never touched, whatever a list says."""
    return all(machine.labels.get(name) == value for name, value in labels.items())


def oldest_first(machines: list[Machine], labels: Mapping[str, str]) -> list[Machine]:
    """Those that are there and fit."""
    return sorted((one for one in machines if one.meaning != "gone" and fits(one, labels)), key=lambda one: (one.created, one.id))
