"""The API document, made of the gateway's dialects as its wiring names them, without a bus and without a server."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import cast

from trunkline.bus import Bus
from trunkline_gateway import openapi, wiring
from trunkline_gateway.dialect import Dialect
from trunkline_gateway.openapi.shapes import Object
from trunkline_gateway.ports import Bearers, Limiter
from trunkline_gateway.settings import Settings
from trunkline_gateway.sse import StreamLimits, Streams
from trunkline_gateway.usecases.desk import Desk
from trunkline_gateway.usecases.forge import Forge
from trunkline_gateway.usecases.tiers import Tiers


class Nobody:
    """Stands where the bus would: being made, a dialect keeps what it is given and asks nothing of it."""

    seal = bytes(32)
    """Keys are made of it beforehand."""

    def __getattr__(self, name: str) -> Nobody:
        return self

    def __call__(self, *given: object, **named: object) -> Nobody:
        return self


def dialects() -> Sequence[Dialect]:
    """All that the gateway speaks."""
    nobody = Nobody()
    return wiring.dialects(cast(Bus, nobody), Streams(StreamLimits()), _callers(nobody), Settings.model_validate({}))


def _callers(nobody: Nobody) -> wiring.Callers:
    return wiring.Callers(cast(Desk, nobody), Forge(), Tiers(cast(Limiter, nobody)), cast(Bearers, nobody))


def document() -> Object:
    return openapi.document(dialects(), version("trunkline"))
