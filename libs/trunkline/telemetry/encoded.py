"""Text that stands in base64 or in hex inside of other text, and where each place of it stood."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Final, NamedTuple

_RUN: Final = re.compile(r"[A-Za-z0-9]{36,}")
"""What the letters of keys and tokens come to: of the other signs of base64 none stands for them."""
_LETTERS: Final = bytes(ord("a") if chr(byte).isalnum() and byte < 128 else ord(" ") for byte in range(256))
_LONG: Final = b"a" * 36
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_IN_BASE64: Final = 6
_IN_HEX: Final = 4


class Decoded(NamedTuple):
    """`text` has one character for each byte; it stood at `start` of the other text, each character of which holds so many bits."""

    text: str
    start: int
    bits: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where what is here from `start` to `end` stood."""
        return self.start + start * 8 // self.bits, self.start - (-end * 8 // self.bits)


class Stubs(NamedTuple):
    """What of the words that are looked for stands in any encoding of them: without one of these there is none."""

    base64: tuple[str, ...]
    hex: tuple[str, ...]
    """In small letters."""


def may_hold(text: str) -> bool:
    """Whether there is a run that is long enough: quick, and there is none in nearly all that anybody sends."""
    return _LONG in text.encode("utf-8", "surrogatepass").translate(_LETTERS)


def decoded(text: str, stubs: Stubs) -> Iterator[Decoded]:
    """Each run of letters and digits that holds a stub, as what it may stand for, wherever in a group it begins."""
    for run in _RUN.finditer(text):
        word, start = run[0], run.start()
        if _holds(word, stubs.base64):
            yield from (Decoded(_from_base64(word[skip:]), start + skip, _IN_BASE64) for skip in range(4))
        if _HEX.fullmatch(word) and _holds(word.lower(), stubs.hex):
            yield from (Decoded(_from_hex(word[skip:]), start + skip, _IN_HEX) for skip in range(2))


def _holds(word: str, stubs: tuple[str, ...]) -> bool:
    return any(stub in word for stub in stubs)


def _from_hex(word: str) -> str:
    return bytes.fromhex(word[: len(word) // 2 * 2]).decode("latin-1")


def _from_base64(word: str) -> str:
    filled = b64decode(word + "A" * (-len(word) % 4))
    return filled[: len(word) * _IN_BASE64 // 8].decode("latin-1")
