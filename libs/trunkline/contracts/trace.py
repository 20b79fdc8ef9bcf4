"""What is known of a trace: its id, how a name of a caller's own becomes one, and the spans of it as they travel on the bus."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from trunkline.contracts.ids import Token, uuid_hex
from trunkline.contracts.message import EMPTY, JsonObject, Message

PREFIX: Final = "trace_"
NOWHERE: Final = "0" * 32


class SpanView(Message):
    """Something that took time, in one service, and what it was a part of."""

    trace_id: str
    span_id: str
    parent_id: str = ""
    """Empty: the first of its trace, as far as we know."""
    service: str
    name: str
    began_us: int
    """Microseconds since 1970, UTC, by the clock of the machine that it was on."""
    took_us: int
    failed: str = ""
    """The code of the refusal, or the kind of the defect; empty: it went well."""
    task: str = ""
    by: str = ""
    """Who asked, where it is a request."""
    attributes: JsonObject = EMPTY
    links: tuple[str, ...] = ()
    """Traces that it is about too."""


class SpanPage(Message):
    """What one service has to tell of one trace at a time."""

    tenant: Token
    spans: tuple[SpanView, ...]


def trace_of(name: str) -> str:
    """The 32 hex digits that a name stands for: those it holds itself (a UUID, with or without `trace_`), else the first of its SHA-256."""
    own = uuid_hex(name.removeprefix(PREFIX))
    return own if own and own != NOWHERE else sha256(name.encode()).hexdigest()[:32]


def name_of(trace_id: str) -> str:
    """What a trace is called that nobody gave a name."""
    return PREFIX + trace_id
