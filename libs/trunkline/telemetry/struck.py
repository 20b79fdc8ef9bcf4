"""Strikes secrets out of what others send, before anybody stores it or an agent reads it: well-known shapes, and this process's own."""

from __future__ import annotations

from typing import TypeVar, cast

import orjson
from pydantic import JsonValue

from trunkline.telemetry import logs

J = TypeVar("J", bound=JsonValue)


def text(said: str) -> str:
    """The very same where there is nothing to strike."""
    redactor = logs.shielded()
    return redactor.text(said) if redactor.hinted(said) else said


def values(said: J) -> J:
    """Every text inside, names included; the very same where there is nothing to strike."""
    redactor = logs.shielded()
    return cast(J, redactor.json(said)) if redactor.hinted(_together(said)) else said


def values_and(said: J, *secrets: tuple[str, str]) -> J:
    """As `values`, these secrets too, each with the word for its kind."""
    return cast(J, logs.shielded().with_(*secrets).json(said))


def _together(said: JsonValue) -> str:
    """All texts in one, to be looked at and not read."""
    try:
        written = orjson.dumps(said)
    except orjson.JSONEncodeError:  # a number that is longer than most
        written = b"\\"
    if b"\\" not in written:  # as it stands there, each text between its quotes
        return written.decode()
    texts: list[str] = []
    _gather(said, texts)
    return "\n".join(texts)


def _gather(value: JsonValue, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        texts += value
        for each in value.values():
            _gather(each, texts)
    elif isinstance(value, list):
        for each in value:
            _gather(each, texts)
