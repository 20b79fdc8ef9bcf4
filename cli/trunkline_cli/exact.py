"""Shows a value exactly: nothing is left out of it, and what a terminal would act on, or hide, stands there as its number."""

from __future__ import annotations

import json
import unicodedata
from typing import Annotated, Final

from pydantic import BeforeValidator, JsonValue

LINE: Final = 100
_SEPARATORS: Final = ("Zl", "Zp", "Zs")


def exact(value: JsonValue) -> str:
    """As JSON, over several lines where one would be long. Pure."""
    short = json.dumps(value, ensure_ascii=False)
    if len(short) <= LINE:
        return _told(short)
    return "\n".join(map(_told, json.dumps(value, ensure_ascii=False, indent=2).split("\n")))


def exact_text(text: str) -> str:
    """A text on one line: a break in it is told from a space. Pure."""
    return _told(json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"'))


def _told(text: str) -> str:
    return "".join(char if _harmless(char) else _number(char) for char in text)


def _harmless(char: str) -> bool:
    kind = unicodedata.category(char)
    return char == " " or not (kind.startswith("C") or kind in _SEPARATORS)


def _number(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def _text_of(value: object) -> str:
    return exact_text(value) if isinstance(value, str) else ""


Exactly = Annotated[str, BeforeValidator(_text_of)]
"""A field of an answer that is shown as it is; no text where it is none."""
