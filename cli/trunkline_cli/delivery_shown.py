"""One delivery as a person reads it: what was sent, what came back, and each try, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from trunkline_cli.orchestrator import Object

_PARTS: Final = ("request", "answer", "attempts")


def lines(delivery: Object) -> Object:
    """Names and values, in the order in which they are shown; what is no delivery as it should be is shown as it is. Pure."""
    plain = {name: value for name, value in delivery.items() if name not in _PARTS}
    return {**plain, **dict(_tries(delivery.get("attempts"))), **dict(_said("sent", delivery)), **dict(_said("answered", delivery))}


def _tries(attempts: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    for number, tried in enumerate(attempts if isinstance(attempts, list) else (), start=1):
        if isinstance(tried, dict):
            told = (tried.get("at"), tried.get("status"), f"{tried.get('took_ms', '?')} ms", tried.get("error"))
            yield f"try {number}", "  ".join(str(part) for part in told if part)


def _said(word: str, delivery: Object) -> Iterator[tuple[str, JsonValue]]:
    """One side of the last try."""
    side = delivery.get("request" if word == "sent" else "answer")
    if not isinstance(side, dict):
        if side:
            yield word, side
        return
    yield word, side.get("url") or side.get("status")
    headers = side.get("headers")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        yield f"{word} {name}", value
    yield f"{word} body", side.get("body")
    if side.get("cut"):
        yield f"{word} cut", "there is more of the body"
