"""Requests whose body must be seen before they go on: those of OpenAI's APIs, for what would be spent unseen otherwise."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.model.shapes import Purpose

_LARGE: Final = 256 << 10
"""Bytes beyond which reading a body would hold up everybody else."""
_MARKS: Final = (b'"background"', b"\\u004", b"\\u005", b"\\u006", b"\\u007", b"\0")
"""A body without any of them has no member of that name: not spelled out, not in escapes of its letters, not in UTF-16."""


async def countable(purpose: Purpose, body: bytes) -> bytes:
    """The body as it is to be sent: changed only where a stream of chat would not tell its usage. Raises Invalid."""
    if len(body) > _LARGE:
        return await asyncio.to_thread(made_countable, purpose, body)
    return made_countable(purpose, body)


def made_countable(purpose: Purpose, body: bytes) -> bytes:
    """Pure. Raises Invalid NOT_COUNTABLE for a request whose answer would not come through this door."""
    if purpose is Purpose.RESPONSES:
        if any(mark in body for mark in _MARKS) and _read(body).get("background"):
            told = "background answers are not offered here: nobody could count them; leave `background` out"
            raise Invalid(told, code="NOT_COUNTABLE")
        return body
    asked = _read(body)
    if not asked.get("stream"):
        return body
    if "stream_options" not in asked:
        return body.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)
    options = asked["stream_options"] if isinstance(asked["stream_options"], dict) else {}
    if options.get("include_usage") is True:
        return body
    asked["stream_options"] = {**options, "include_usage": True}
    return json.dumps(asked, separators=(",", ":")).encode()


def _read(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise Invalid("the body of this request is no JSON in UTF-8", code="NOT_COUNTABLE") from None
    if not isinstance(asked, dict):
        raise Invalid("the body of this request is no JSON object", code="NOT_COUNTABLE")
    return asked


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two members with one name, the model API might obey the other one."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Invalid("the body of this request names a member twice", code="NOT_COUNTABLE")
    return members
