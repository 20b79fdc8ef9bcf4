"""Reading out of an answer what it used while its bytes pass: fed piece by piece, however they are cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

MOST: Final = 16 << 20
"""Bytes of one event, or of one whole answer, that are looked into; a larger one is passed on unread."""
_MOST_TOKENS: Final = 10**9
BYTES_A_TOKEN: Final = 4
"""Of text, where nobody told the tokens."""

Said = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """What is known of one answer so far, in tokens."""

    model: str = ""
    input_tokens: int = 0
    """All of it: read from the cache, written to it, and neither."""
    cached_tokens: int = 0
    written_tokens: int = 0
    written_long_tokens: int = 0
    """Written to the provider's cache for an hour."""
    output_tokens: int = 0
    begun: bool = False
    """The provider told the input."""
    told: bool = False
    """The provider told all of it."""
    failed: bool = False
    """The provider gave up."""
    text_bytes: int = 0
    """Of the text that passed."""

    @property
    def free(self) -> bool:
        """Refused before anything was done."""
        return self.failed and not self.begun and not self.told and not self.text_bytes


Fold = Callable[[Usage, Said], Usage]


class Reader(Protocol):
    """Sees an answer pass."""

    def feed(self, piece: bytes) -> None: ...

    def end(self) -> Usage: ...


class EventReader:
    """Server-sent events, each folded into the usage as it is whole. Lines end with LF or CRLF."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._usage = Usage()
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> None:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            self._keep(line)
            self._heard(bytes(self._line.removesuffix(b"\r")))
            self._line.clear()
        self._keep(rest)

    def end(self) -> Usage:
        return self._usage

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= MOST:
            self._line += part

    def _heard(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[5:])
        elif not line:
            whole = self._size <= MOST
            said = _object(b"\n".join(self._data)) if whole and self._data else None
            if said is not None:
                self._usage = self._fold(self._usage, said)
            self._data.clear()
            self._size = 0


class BodyReader:
    """One JSON object, read when it is whole."""

    def __init__(self, read: Fold) -> None:
        self._read = read
        self._body = bytearray()
        self._size = 0

    def feed(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= MOST:
            self._body += piece

    def end(self) -> Usage:
        said = _object(bytes(self._body)) if self._size <= MOST else None
        return self._read(Usage(), said) if said is not None else Usage(text_bytes=self._size)


def _object(text: bytes) -> Said | None:
    try:
        said = orjson.loads(text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def part(said: Said, name: str) -> Said:
    """A member that is an object; an empty one where it is none."""
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def parts(said: Said, name: str) -> list[Said]:
    """A member that is a list of objects."""
    found = said.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def word(said: Said, name: str) -> str:
    found = said.get(name)
    return found if isinstance(found, str) else ""


def size(*texts: object) -> int:
    """Bytes of those that are text."""
    return sum(len(text.encode("utf-8", "replace")) for text in texts if isinstance(text, str))


def tokens(said: Said, name: str, otherwise: int = 0) -> int:
    """A number of tokens, `otherwise` where none is told."""
    found = said.get(name)
    if isinstance(found, bool) or not isinstance(found, int):
        return otherwise
    return min(max(found, 0), _MOST_TOKENS)
