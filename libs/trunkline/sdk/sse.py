"""Reads server-sent events: bytes as they come in, whole events out, however the bytes are cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LARGEST: Final = 16 << 20
"""Bytes of one event."""


class TooLargeEventError(ValueError):
    """An event that no gateway of ours sends."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event as it stood on the wire. `id` is empty where it has none of its own."""

    id: str
    name: str
    text: str = field(repr=False)


@dataclass(slots=True)
class EventReader:
    """What was fed and is no whole event yet. Lines may end in LF, CRLF or CR."""

    _rest: bytes = b""
    _returned: bool = False
    """The last byte was a CR, so an LF now belongs to it."""
    _begun: bool = False
    _held: int = 0
    _id: str = ""
    _name: str = ""
    _texts: list[str] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether something came, and no event is half here: an end where this is not so is a break that somebody took for one."""
        return self._begun and not (self._rest or self._id or self._name or self._texts)

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that end in it. Raises TooLargeEventError."""
        *lines, self._rest = (self._rest + self._unified(chunk)).split(b"\n")
        found = [event for line in lines if (event := self._line(line))]
        if self._held + len(self._rest) > LARGEST:
            raise TooLargeEventError(f"an event has more than {LARGEST} bytes")
        return found

    def _unified(self, chunk: bytes) -> bytes:
        """With LF at the end of every line."""
        if not chunk:
            return chunk
        if self._returned and chunk.startswith(b"\n"):
            chunk, self._returned = chunk[1:], False
        if chunk:
            self._returned = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in chunk else chunk

    def _line(self, line: bytes) -> ServerEvent | None:
        if not self._begun:
            self._begun, line = True, line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._ended()
        self._held += len(line)
        name, _, value = line.decode("utf-8", "replace").partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        """A name that is none, of a comment for example, means nothing."""
        if name == "data":
            self._texts.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value

    def _ended(self) -> ServerEvent | None:
        event = ServerEvent(self._id, self._name, "\n".join(self._texts)) if self._texts else None
        self._id, self._name, self._texts, self._held = "", "", [], 0
        return event
