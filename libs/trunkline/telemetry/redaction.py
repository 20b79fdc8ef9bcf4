"""Striking secrets out of text: by their exact values in every spelling that programs print, and by the shape of well-known kinds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from trunkline.telemetry import secret_shapes
from trunkline.telemetry.unescaping import unescaped

SHORTEST: Final = 8
"""Characters: what is shorter would strike out ordinary words."""
SHORT: Final = 2000
"""Characters: what several lines are told in as one is no longer."""
_BREAK: Final = r"(?:\r?\n[ \t]*| )"
"""What stands between two lines of an encoding that was wrapped; a space, where they are told as one line."""
_LAYERS: Final = 2
"""Of escapes around one another that are undone."""
_UNBROKEN: Final = str.maketrans("", "", "\r\n\t ")
_Span = tuple[int, int, str]
"""From where to where, and what stands there instead."""


class Redactor:
    """Knows values by the word that stands in their place. The same object serves many threads; `with_` makes another one."""

    def __init__(self, secrets: Iterable[tuple[str, str]] = (), *, patterns: bool = True) -> None:
        """`secrets` are (kind, value); those shorter than SHORTEST are left alone."""
        self._secrets = tuple(dict.fromkeys((kind, value) for kind, value in secrets if len(value) >= SHORTEST))
        self._patterns = patterns
        spelt = {spelling: f"[redacted:{kind}]" for kind, value in self._secrets for spelling in spellings(value)}
        self._spellings = tuple(sorted(spelt.items(), key=lambda pair: -len(pair[0])))
        self._plain, self._solid = tuple(spelt), tuple(dict.fromkeys(map(_solid, spelt)))

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
        if self._spellings and ("\n" in text or (" " in text and len(text) <= SHORT)):
            text = self._wrapped(text)
        if self._patterns:
            text = _by_shape(text)
        text = _struck(text, self._escaped(text, _LAYERS))
        return self._cut_off(text) if text.endswith("…") else text

    def hinted(self, text: str) -> bool:
        """Whether there may be one that is not escaped: quick, and never wrong when it says no."""
        if self._patterns and secret_shapes.hinted(text):
            return True
        if self._solid and ("\n" in text or (" " in text and len(text) <= SHORT)):  # one may be broken over lines
            return _holds(_solid(text), self._solid)
        return _holds(text, self._plain)

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

    def _escaped(self, text: str, layers: int) -> list[_Span]:
        """What is one only when its escapes are undone."""
        read = unescaped(text) if layers else None
        if read is None:
            return []
        found = [*self._escaped(read.text, layers - 1), *self._spans(read.text)]
        return [(*read.span(start, end), mark) for start, end, mark in found]

    def _spans(self, text: str) -> Iterator[_Span]:
        for spelling, mark in self._spellings:
            start = text.find(spelling)
            while start >= 0:
                yield start, start + len(spelling), mark
                start = text.find(spelling, start + len(spelling))
        if self._patterns:
            yield from ((found.start, found.end, f"[redacted:{found.kind}]") for found in secret_shapes.find(text))

    def _cut_off(self, text: str) -> str:
        """The text was cut, and perhaps in the middle of one."""
        for kind, value in self._secrets:
            for length in range(len(value) - 1, SHORTEST - 1, -1):
                if text.endswith(value[:length] + "…"):
                    return f"{text[: -length - 1]}[redacted:{kind}]…"
        return secret_shapes.CUT.sub("[redacted:cut-off]", text) if self._patterns else text

    def _wrapped(self, text: str) -> str:
        """Where a line break went through the middle of one."""
        unbroken = text.translate(_UNBROKEN)
        for spelling, mark in self._spellings:
            if spelling in unbroken:
                text = re.sub(f"{_BREAK}?".join(map(re.escape, spelling)), mark, text)
        return text


def spellings(value: str) -> set[str]:
    """The value as it is, in JSON, in an address (once and twice), in hex (together and apart), and in base64 (once and twice) wherever
    it stands in what was encoded."""
    data = value.encode("utf-8", "surrogatepass")
    plain = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    once = {quote(value, safe="", errors="replace"), quote(value, errors="replace")}
    twice = {quote(each, safe="") for each in once}
    hexed = {each for apart in ((), (" ",), (":",)) for each in (data.hex(*apart), data.hex(*apart).upper())}
    inner = set(secret_shapes.in_base64(data))
    outer = {each for one in inner for each in secret_shapes.in_base64(one.encode())}
    return {spelling for spelling in plain | once | twice | hexed | inner | outer if len(spelling) >= SHORTEST}


def _solid(text: str) -> str:
    """Without blanks of any kind, in a fifth of the time that `translate` takes."""
    return "".join(text.split())


def _holds(text: str, spellings: tuple[str, ...]) -> bool:
    for spelling in spellings:  # noqa: SIM110  # asked of all that anybody sends: a generator takes twice as long
        if spelling in text:
            return True
    return False


def _by_shape(text: str) -> str:
    return _struck(text, [(found.start, found.end, f"[redacted:{found.kind}]") for found in secret_shapes.find(text)])


def _struck(text: str, spans: Iterable[_Span]) -> str:
    """Where two overlap, both are gone, under the name of the first."""
    pieces, done = [], 0
    for start, end, mark in sorted(spans):
        if start >= done:
            pieces += [text[done:start], mark]
        done = max(done, end)
    return "".join([*pieces, text[done:]]) if pieces else text
