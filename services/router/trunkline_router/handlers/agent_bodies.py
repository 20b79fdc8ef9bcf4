"""What agents are answered, as it travels."""

from __future__ import annotations

import json

import orjson
from pydantic import JsonValue

from trunkline.contracts.message import Accepted, Message


def accepted(body: Message, seq: int = 0) -> Accepted:
    return Accepted(seq=seq, body=orjson.loads(body.written()))


def size(value: JsonValue) -> int:
    """Bytes as JSON."""
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:  # what orjson is too strict for, as an integer of more than 64 bits
        return len(json.dumps(value).encode())
