"""Strikes what has the shape of a secret out of what callers send, before anybody stores it or an agent reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar, cast

from pydantic import JsonValue

from trunkline.contracts.task import Assignment
from trunkline.telemetry import secret_shapes
from trunkline.telemetry.redaction import Redactor

_REDACTOR: Final = Redactor()
J = TypeVar("J", bound=JsonValue)


def text(said: str) -> str:
    """The very same where there is nothing to strike."""
    return _REDACTOR.text(said) if secret_shapes.hinted(said) else said


def values(said: J) -> J:
    """Every text inside, names included; the very same where there is nothing to strike."""
    if not secret_shapes.hinted("\n".join(_texts(said))):
        return said
    return cast(J, _REDACTOR.json(said))


def assignment(wish: Assignment) -> Assignment:
    """Prompt, payload, metadata and labels; looked at together first, as hardly any holds a secret."""
    said: dict[str, JsonValue] = {"prompt": wish.prompt, "payload": wish.payload, "metadata": wish.metadata, "labels": {**wish.labels}}
    clean = values(said)
    return wish if clean is said else wish.model_copy(update=clean)


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
