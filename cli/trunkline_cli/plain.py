"""Takes out of a stranger's text what would drive the terminal that it is printed on."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # control sequences: cursor, colours, erasing
    r"|(?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\n\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # strings: titles, links, the clipboard
    r"|\x1b[ -/]*[0-~]?"  # all the others
)
_NEWLINE: Final = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL: Final = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f]"
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # these turn the direction of what follows: shown is not what is there
    r"|[\ud800-\udfff]"  # halves of characters, which no terminal takes
)


def plain(text: str) -> str:
    """The text without terminal sequences, control characters and marks of direction; tabs and newlines stay. Pure."""
    return _CONTROL.sub("", _NEWLINE.sub("\n", _SEQUENCE.sub("", text)))


def one_line(text: str) -> str:
    """The same on one line, so that it cannot pass for lines of ours. Pure."""
    return " ".join(part.strip() for part in plain(text).splitlines() if part.strip())


Plain = Annotated[str, AfterValidator(plain)]
"""A field of an answer: clean as soon as it is read, so that no way of printing it can forget to."""
