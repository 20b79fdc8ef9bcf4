"""Trunkline: services, and the clients with which a program of yours asks them; those are loaded when they are named."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trunkline.sdk.client import AsyncClient, Client
    from trunkline.sdk.errors import TrunklineError

__all__ = ["AsyncClient", "Client", "TrunklineError"]
_LIVES: Final = {"AsyncClient": "trunkline.sdk.client", "Client": "trunkline.sdk.client", "TrunklineError": "trunkline.sdk.errors"}


def __getattr__(name: str) -> object:
    if name not in _LIVES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LIVES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
