"""From what a client says to an agent to what Trunkline understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from trunkline.contracts.errors import Invalid, NotFound
from trunkline.contracts.steering import MOST_TEXT
from trunkline_gateway.dialects.orchestrator import patterns, reading
from trunkline_gateway.dialects.orchestrator.schemas import MessageBody, OrderBody

_MESSAGE: Final = re.compile(patterns.MESSAGE)
Object = Mapping[str, JsonValue]


def text(sent: Object) -> str:
    """What is to be said. Raises Invalid."""
    said = reading.body(MessageBody, sent).text
    if not said.strip():
        raise reading.wrong("text", "must say something")
    if len(said.encode()) > MOST_TEXT:
        raise Invalid(f"text is longer than the {MOST_TEXT} bytes that an agent is told at once", code="MESSAGE_TOO_LONG", field="text")
    return said


def order(sent: Object) -> tuple[str, ...]:
    """Raises Invalid."""
    return tuple(reading.body(OrderBody, sent).message_ids)


def message(name: str) -> str:
    """Raises NotFound: no message can have another name."""
    if _MESSAGE.fullmatch(name) is None:
        raise unknown_message()
    return name


def unknown_message() -> NotFound:
    return NotFound("there is no such message to this task", code="MESSAGE_NOT_FOUND")
