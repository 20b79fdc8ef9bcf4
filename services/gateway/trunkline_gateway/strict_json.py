"""Reads JSON as strictly as a door must: one meaning, no surprises later.

The standard parser is used because only it shows repeated keys (orjson, msgspec and pydantic keep the last one silently); what it is too
kind about (depth, sheer number, NaN, infinities, integers beyond 64 bits, lone surrogates, NUL) is refused here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Final, NoReturn

from pydantic import JsonValue

from trunkline.contracts.errors import Invalid

CODE: Final = "INVALID_JSON"
MOST_CONTAINERS: Final = 5_000
"""Objects and lists of one body. An empty list is two bytes on the wire and thirty times as much in every service that reads it."""


def parse(raw: bytes, depth: int) -> JsonValue:
    """The value in `raw`, nested at most `depth` levels. Raises Invalid with code INVALID_JSON."""
    try:
        value: JsonValue = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _bad("the body is not UTF-8 text", byte=error.start) from None
    except json.JSONDecodeError as error:
        raise _bad(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep(depth) from None
    except ValueError:  # an integer of thousands of digits, refused by the interpreter
        raise _bad("the body holds a number that is too long") from None
    _check(value, depth, escapes=b"\\u" in raw)
    return value


def parse_object(raw: bytes, depth: int) -> dict[str, JsonValue]:
    """As `parse`, and it is an object."""
    value = parse(raw, depth)
    if not isinstance(value, dict):
        raise _bad('the body must be a JSON object, like {"field": "value"}')
    return value


def _check(value: JsonValue, depth: int, *, escapes: bool) -> None:
    """Level by level, so that no nesting can exhaust the stack."""
    level: list[JsonValue] = [value]
    seen = 0
    for _ in range(depth):
        if escapes:
            _check_texts(level)
        containers = [item for item in level if isinstance(item, dict | list)]
        seen += len(containers)
        if seen > MOST_CONTAINERS:
            raise _bad(f"the body holds more than {MOST_CONTAINERS} objects and lists")
        level = [child for item in containers for child in _children(item)]
        if not level:
            return
    if any(isinstance(item, dict | list) for item in level):
        raise _too_deep(depth)
    if escapes:
        _check_texts(level)


def _children(container: dict[str, JsonValue] | list[JsonValue]) -> Iterable[JsonValue]:
    return container.values() if isinstance(container, dict) else container


def _check_texts(level: list[JsonValue]) -> None:
    """Only an escape can bring NUL or half a character into text that was valid UTF-8."""
    for item in level:
        texts = item.keys() if isinstance(item, dict) else [item] if isinstance(item, str) else []
        for text in texts:
            if "\x00" in text:
                raise _bad("the body holds a NUL character (\\u0000)")
            if not _whole(text):
                raise _bad("the body holds half a character (a lone surrogate such as \\ud800)")


def _whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _bad("the body names a key twice, and there is no telling which one is meant")
    return value


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _bad("the body holds a number beyond what a double can hold")
    return number


def _integer(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise _bad("the body holds an integer that 64 bits cannot hold; send it as text")
    return number


def _constant(name: str) -> NoReturn:
    raise _bad(f"the body holds {name}, which is not JSON")


def _too_deep(depth: int) -> Invalid:
    return _bad(f"the body is nested deeper than {depth} levels")


def _bad(message: str, **details: JsonValue) -> Invalid:
    return Invalid(message, code=CODE, **details)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_int=_integer, parse_constant=_constant)
