"""The two headers of W3C Trace Context, level 1: read as strictly as it asks, and left aside as a whole where they are wrong."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
MOST_STATE: Final = 512
"""Characters that everybody must carry on; what is longer we drop."""
MOST_MEMBERS: Final = 32
_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_KEY: Final = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBER: Final = re.compile(_KEY + r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


class Parent(NamedTuple):
    """What somebody goes on from; without a span it is the beginning."""

    trace_id: str
    span_id: str
    sampled: bool
    state: str = ""


def parent(traceparent: str, tracestate: str = "") -> Parent | None:
    """None: there is none, or it is not as it must be, and then the state is nothing either.

    Of a version to come, the part that this one has is understood, whatever follows it.
    """
    read = _PARENT.fullmatch(traceparent)
    if read is None:
        return None
    version, trace_id, span_id, flags, more = read.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Parent(trace_id, span_id, bool(int(flags, 16) & 1), state(tracestate) if tracestate else "")


def state(text: str) -> str:
    """As it is carried on: whole, or not at all."""
    if len(text) > MOST_STATE:
        return ""
    members = [member for member in (part.strip(" \t") for part in text.split(",")) if member]
    keys = [member.partition("=")[0] for member in members]
    fits = len(members) <= MOST_MEMBERS and len(set(keys)) == len(keys)
    return ",".join(members) if fits and all(map(_MEMBER.fullmatch, members)) else ""
