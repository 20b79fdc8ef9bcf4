"""Striking secrets out of text: by their exact values in every spelling that programs print, and by the shape of well-known kinds."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from trunkline.telemetry import secret_shapes

SHORTEST: Final = 8
"""Characters: what is shorter would strike out ordinary words."""
_BREAK: Final = r"(?:\r?\n[ \t]*)"
"""What stands between two lines of an encoding that was wrapped."""
_UNBROKEN: Final = str.maketrans("", "", "\r\n\t ")


class Redactor:
    """Knows values by the word that stands in their place. The same object serves many threads; `with_` makes another one."""

    def __init__(self, secrets: Iterable[tuple[str, str]] = (), *, patterns: bool = True) -> None:
        """`secrets` are (kind, value); those shorter than SHORTEST are left alone."""
        self._secrets = tuple(dict.fromkeys((kind, value) for kind, value in secrets if len(value) >= SHORTEST))
        self._patterns = patterns
        spelt = {spelling: f"[redacted:{kind}]" for kind, value in self._secrets for spelling in spellings(value)}
        self._spellings = tuple(sorted(spelt.items(), key=lambda pair: -len(pair[0])))

    def with_(self, *secrets: tuple[str, str]) -> Redactor:
        """One that knows these too."""
        return Redactor((*self._secrets, *secrets), patterns=self._patterns)

    def text(self, text: str) -> str:
        """`text` without any secret; the very same object when there is none in it."""
        if len(text) < SHORTEST:
            return text
        for spelling, mark in self._spellings:
            if spelling in text:
                text = text.replace(spelling, mark)
        if "\n" in text and self._spellings:
            text = self._wrapped(text)
        return _by_shape(text) if self._patterns else text

    def json(self, value: JsonValue) -> JsonValue:
        """Every string inside, names of members too."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.json(each) for each in value]
            case dict():
                return {self.text(name): self.json(each) for name, each in value.items()}
            case _:
                return value

    def _wrapped(self, text: str) -> str:
        """Where a line break went through the middle of one."""
        unbroken = text.translate(_UNBROKEN)
        for spelling, mark in self._spellings:
            if spelling in unbroken:
                text = re.sub(f"{_BREAK}?".join(map(re.escape, spelling)), mark, text)
        return text


def spellings(value: str) -> set[str]:
    """The value as it is, in JSON, in an address (once and twice), in hex, and in base64 wherever it stands in what was encoded."""
    data = value.encode("utf-8", "surrogatepass")
    plain = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    once = {quote(value, safe="", errors="replace"), quote(value, errors="replace")}
    twice = {quote(each, safe="") for each in once}
    hexed = {data.hex(), data.hex().upper()}
    return {spelling for spelling in plain | once | twice | hexed | set(_base64(data)) if len(spelling) >= SHORTEST}


def _base64(data: bytes) -> Iterator[str]:
    """What of it is the same whatever stands before and behind, for each of the three places that it may begin at."""
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + data).decode()[first:last]


def _by_shape(text: str) -> str:
    pieces, done = [], 0
    for found in sorted(secret_shapes.find(text), key=lambda one: one.start):
        if found.start >= done:
            pieces += [text[done : found.start], f"[redacted:{found.kind}]"]
        done = max(done, found.end)
    return "".join([*pieces, text[done:]]) if pieces else text
