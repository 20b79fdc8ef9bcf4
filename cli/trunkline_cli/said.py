"""Reads JSON that is said on the command line: as it stands, or `@file`, or `@-` for the standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from trunkline.contracts.errors import Invalid

MOST: Final = 8 << 20
"""Bytes; no gateway takes more."""


def json_object(flag: str, text: str) -> dict[str, JsonValue]:
    """The JSON object that `flag` was given. Raises Invalid with what is wrong, and where."""
    raw = _content(flag, text[1:]) if text.startswith("@") else text
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Invalid(f'{flag} is no JSON ({error}). Write an object such as {{"issue": "123"}}, or @FILE for one in a file.') from None
    if not isinstance(found, dict):
        raise Invalid(f'{flag} must be a JSON object such as {{"issue": "123"}}.')
    return found


def _content(flag: str, name: str) -> str:
    try:
        raw = sys.stdin.buffer.read(MOST + 1) if name == "-" else _read(Path(name).expanduser())
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise Invalid(f"The file {name} of {flag} cannot be read ({reason}).") from None
    if len(raw) > MOST:
        raise Invalid(f"The file {name} of {flag} holds more than {MOST >> 20} MiB; no gateway takes that much.")
    return text


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST + 1)
