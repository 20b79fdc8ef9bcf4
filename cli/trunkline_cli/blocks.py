"""Reads server-sent events: bytes as they come in, whole events out."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Block:
    """One event of a stream: its id, its name if it has one, and its JSON object."""

    id: str
    event: str
    data: dict[str, JsonValue]


def blocks(raw: bytes) -> tuple[list[Block], bytes]:
    """The whole events in `raw`, comments and what is no event of ours left out, and the beginning of the next. Pure."""
    *whole, rest = raw.split(b"\n\n")
    return [block for block in map(parse, whole) if block], rest


def parse(raw: bytes) -> Block | None:
    """One block; None for a comment or something that is no JSON object. Pure."""
    lines = [line.partition(":") for line in raw.decode("utf-8", "replace").split("\n")]  # `splitlines` would cut a JSON text at U+2028
    fields = [(name, value.removeprefix(" ")) for name, _, value in lines if name]
    try:
        data = json.loads("\n".join(value for name, value in fields if name == "data"))
    except ValueError:
        return None
    last = dict(fields)
    return Block(last.get("id", ""), last.get("event", ""), data) if isinstance(data, dict) else None
