"""What is known of a conversation, changed by what happens in it: the same for every agent that is spoken to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from trunkline_sandbox.model import Ask, Ending, Entry, Talk

MOST_ASKS = 64
"""Calls that wait for a word at one time; a program that asks more is told no at once."""
MOST_HEARD = 300
"""More than the hundred that are told again after a takeover, with all that is said around them."""
CLOSE = Entry("close", close=True)

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def turn_began(talk: Talk) -> Talk:
    """What was said of the end belonged to the turn before; what was used counts on."""
    if talk.busy:
        return talk
    usage = talk.ending.usage if talk.ending else Ending(ok=False).usage
    return replace(talk, busy=True, ending=Ending(ok=False, usage=usage) if talk.ending else None)


def turn_ended(talk: Talk) -> Talk:
    """Nothing is asked any more when nothing is done any more."""
    return replace(talk, busy=False, turns=talk.turns + 1, asks=())


def asked(talk: Talk, ask: Ask) -> Talk:
    if any(one.id == ask.id for one in talk.asks):
        return talk
    return replace(talk, asks=(*talk.asks, ask))


def settled(talk: Talk, id: str | None) -> Talk:
    """The program goes on with this call, or without it."""
    left = tuple(one for one in talk.asks if one.id != id)
    return talk if len(left) == len(talk.asks) else replace(talk, asks=left)


def saw(talk: Talk, message: str) -> Talk:
    """It is seen to have the message."""
    if message in talk.heard:
        return talk
    return replace(talk, heard=(*talk.heard, message)[-MOST_HEARD:])


def note(talk: Talk, name: str) -> str:
    return dict(talk.notes).get(name, "")


def noting(talk: Talk, name: str, value: str) -> Talk:
    """An empty value forgets the note."""
    notes = {**dict(talk.notes), name: value}
    return replace(talk, notes=tuple(sorted((name, value) for name, value in notes.items() if value)))


def entry(kind: str, id: str, body: Mapping[str, object]) -> Entry:
    """One JSON line under an id that any journal can hold, whatever the program calls its things."""
    plain = id if _PLAIN.fullmatch(id) else sha256(id.encode("utf-8", "backslashreplace")).hexdigest()[:32]
    return Entry(f"{kind}-{plain}", json_line(body))


def json_line(body: Mapping[str, object]) -> bytes:
    return json.dumps(body).encode() + b"\n"
