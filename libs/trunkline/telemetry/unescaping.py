"""Text as it reads once its escapes are undone, and where each place of it stood before."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import Final, NamedTuple

_ESCAPED: Final = re.compile(
    r"\\u([0-9A-Fa-f]{4})"
    r"|(?:%|\\x)([0-9A-Fa-f]{2})"
    r"|&#x([0-9A-Fa-f]{2,6});"
    r"|&#([0-9]{2,7});"
    r"|\\([nrtbf\"'/\\])"
    # What is not seen: colours of terminals, characters without a width, lines that go on.
    r"|\x1b\[[0-9;:?]*[@-~]|[\x00\u00ad\u200b-\u200d\u2060\ufeff]|\\\r?\n"
)
_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class Unescaped(NamedTuple):
    """`text`, and knots: the place `here[i]` of it stood at `there[i]`, and what follows up to the next knot right behind."""

    text: str
    here: list[int]
    there: list[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where what is here from `start` to `end` stood, with the whole of its escapes."""
        first, last = bisect_right(self.here, start) - 1, bisect_left(self.here, end)
        if last == len(self.here) or self.here[last] != end:
            last -= 1
        return self.there[first] + start - self.here[first], self.there[last] + end - self.here[last]


def unescaped(text: str) -> Unescaped | None:
    """One layer of escapes undone, those of JSON, of addresses, of HTML and of terminals alike; None where there is none."""
    if not _ESCAPED.search(text):
        return None
    pieces: list[str] = []
    here, there, done, length = [0], [0], 0, 0
    for found in _ESCAPED.finditer(text):
        meant = _meant(found)
        pieces += [text[done : found.start()], meant]
        length += found.start() - done
        here += [length, length + len(meant)]
        there += [found.start(), found.end()]
        length, done = length + len(meant), found.end()
    return Unescaped("".join([*pieces, text[done:]]), here, there)


def _meant(found: re.Match[str]) -> str:
    four, two, hexed, number, letter = found.groups()
    if letter:
        return _LETTERS.get(letter, letter)
    if not (digits := four or two or hexed or number):
        return ""
    code = int(digits, 10 if number else 16)
    return chr(code) if code < 0x110000 else "\ufffd"
