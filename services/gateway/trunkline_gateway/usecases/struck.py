"""Strikes what has the shape of a secret out of what callers send, before anybody stores it or an agent reads it."""

from __future__ import annotations

from typing import Final, TypeVar, cast

import orjson
from pydantic import JsonValue, SecretStr

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
    return cast(J, _REDACTOR.json(said)) if secret_shapes.hinted(_together(said)) else said


def assignment(wish: Assignment, token: SecretStr | None = None) -> Assignment:
    """Prompt, payload, metadata and labels, without the `token` that came with them; looked at together first, for hardly any holds one."""
    said: dict[str, JsonValue] = {"prompt": wish.prompt, "payload": wish.payload, "metadata": wish.metadata, "labels": {**wish.labels}}
    clean = values(said) if token is None else _but(said, token)
    return wish if clean is said else wish.model_copy(update=clean)


def _but(said: dict[str, JsonValue], token: SecretStr) -> dict[str, JsonValue]:
    return cast(dict[str, JsonValue], _REDACTOR.with_(("github-token", token.get_secret_value())).json(said))


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
