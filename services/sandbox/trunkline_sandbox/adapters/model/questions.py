"""What is asked of a model, read before it goes on: what nobody could count or hold back does not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.model.reach import refuse_reaching
from trunkline_sandbox.adapters.model.shapes import Purpose

LARGE: Final = 256 << 10
"""Bytes beyond which reading a body would hold up everybody else."""
_MOST_PIECES: Final = 1_000_000
"""Commas and brackets: read into objects, a body of nothing else takes a hundred times its size."""


@dataclass(frozen=True, slots=True)
class Question:
    """`body` as it is to be sent, and the model it names."""

    body: bytes
    model: str = ""


def judged(purpose: Purpose, body: bytes, allowed: tuple[str, ...] = ()) -> Question:
    """Changed only where a stream of chat would not tell its usage. `allowed` are patterns of what may run at the provider.

    Raises Invalid: NOT_COUNTABLE for a request whose answer would not come through this door or that two may read differently,
    MODEL_TOOL_REFUSED for one by which the provider would reach others.
    """
    if not body and purpose is not Purpose.CHAT:
        return Question(body)
    asked = _read(body)
    if asked.get("background") and purpose is Purpose.RESPONSES:
        raise Invalid("background answers are not offered here: nobody could count them; leave `background` out", code="NOT_COUNTABLE")
    refuse_reaching(purpose, asked, allowed)
    model = asked.get("model")
    sent = _telling_usage(body, asked) if purpose is Purpose.CHAT and asked.get("stream") else body
    return Question(sent, model if isinstance(model, str) else "")


def _telling_usage(body: bytes, asked: dict[str, Any]) -> bytes:
    if "stream_options" not in asked:
        return body.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
    options = asked["stream_options"] if isinstance(asked["stream_options"], dict) else {}
    if options.get("include_usage") is True:
        return body
    asked["stream_options"] = {**options, "include_usage": True}
    return json.dumps(asked, separators=(",", ":")).encode()


def _read(body: bytes) -> dict[str, Any]:
    if len(body) > _MOST_PIECES and sum(map(body.count, (b",", b"[", b"{"))) > _MOST_PIECES:
        raise Invalid(f"the body of this request has more than {_MOST_PIECES:,} members", code="NOT_COUNTABLE")
    try:
        asked = json.loads(body.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise Invalid("the body of this request is no JSON in UTF-8", code="NOT_COUNTABLE") from None
    if not isinstance(asked, dict):
        raise Invalid("the body of this request is no JSON object", code="NOT_COUNTABLE")
    if any(name != name.casefold() for name in asked):
        raise Invalid("the body of this request has a member whose name is not in small letters", code="NOT_COUNTABLE")
    return asked


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two members with one name, the model API might obey the other one."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Invalid("the body of this request names a member twice", code="NOT_COUNTABLE")
    return members
