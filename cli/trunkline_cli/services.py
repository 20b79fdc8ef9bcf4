"""The five services as the command line sees them: a name, a settings model and a way to run, imported only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from pydantic import BaseModel

NAMES = ("router", "approvals", "sandbox", "relay", "gateway")
"""In the order of starting; the gateway comes last, because its door opens on the others, and stops first."""

DOES = {
    "router": "takes tasks, hands them out, tries again, ends them",
    "approvals": "asks people, and counts silence as no",
    "sandbox": "runs the agents and publishes their work",
    "relay": "shows how every task stands",
    "gateway": "speaks HTTP with clients",
}
"""What each is for, in a few words."""

Running = Callable[[BaseModel], AbstractAsyncContextManager[None]]


def settings_of(name: str) -> type[BaseModel]:
    """The settings model of a service; light to import."""
    return cast(type[BaseModel], import_module(f"trunkline_{name}.settings").Settings)


@dataclass(frozen=True, slots=True)
class Service:
    """A service with its settings filled, ready to be run."""

    name: str
    settings: BaseModel

    def running(self) -> AbstractAsyncContextManager[None]:
        """Entered: it is ready. Left: it has drained. Imports the service."""
        run = cast(Running, import_module(f"trunkline_{self.name}.wiring").running)
        return run(self.settings)
