"""Trunkline: services, and what programs of yours ask them with or work for them by; that is loaded when it is named."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trunkline.sdk.agents.agent import Agent
    from trunkline.sdk.agents.context import BlockingContext, Context
    from trunkline.sdk.agents.failing import TaskError
    from trunkline.sdk.client import AsyncClient, Client
    from trunkline.sdk.errors import TrunklineError

__all__ = ["Agent", "AsyncClient", "BlockingContext", "Client", "Context", "TaskError", "TrunklineError"]
_LIVES: Final = {
    "Agent": "trunkline.sdk.agents.agent",
    "AsyncClient": "trunkline.sdk.client",
    "BlockingContext": "trunkline.sdk.agents.context",
    "Client": "trunkline.sdk.client",
    "Context": "trunkline.sdk.agents.context",
    "TaskError": "trunkline.sdk.agents.failing",
    "TrunklineError": "trunkline.sdk.errors",
}


def __getattr__(name: str) -> object:
    if name not in _LIVES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LIVES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
