"""Strikes secrets out of what callers send, before anybody stores it or an agent reads it."""

from __future__ import annotations

from pydantic import JsonValue, SecretStr

from trunkline.contracts.task import Assignment
from trunkline.telemetry.struck import text, values, values_and

__all__ = ["assignment", "text", "values"]


def assignment(wish: Assignment, token: SecretStr | None = None) -> Assignment:
    """Prompt, payload, metadata and labels, without the `token` that came with them; looked at together first, for hardly any holds one."""
    said: dict[str, JsonValue] = {"prompt": wish.prompt, "payload": wish.payload, "metadata": wish.metadata, "labels": {**wish.labels}}
    clean = values(said) if token is None else values_and(said, ("github-token", token.get_secret_value()))
    return wish if clean is said else wish.model_copy(update=clean)
