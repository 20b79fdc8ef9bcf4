"""Reads what was sent by its schema, and says the first problem as one sentence that names the field and never its value."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from multidict import MultiMapping
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from trunkline.contracts.errors import Invalid
from trunkline_gateway.dialects.orchestrator.patterns import in_words

MISSING_FIELD: Final = "MISSING_FIELD"
UNKNOWN_FIELD: Final = "UNKNOWN_FIELD"
WRONG_TYPE: Final = "WRONG_TYPE"
INVALID_VALUE: Final = "INVALID_VALUE"
FIELD_TWICE: Final = "FIELD_TWICE"
THIS: Final = "this request"

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

Schema = TypeVar("Schema", bound=BaseModel)


def body(schema: type[Schema], sent: Mapping[str, JsonValue], within: str = "") -> Schema:
    """Raises Invalid. `within` names the field that `sent` is the value of."""
    try:
        return schema.model_validate(sent)
    except ValidationError as error:
        raise _refusal(error, within) from None


def query(schema: type[Schema], sent: MultiMapping[str]) -> Schema:
    """Raises Invalid, also for what is said twice: there is no telling which is meant. Names that it does not know: `check_known`."""
    known = [name for name in names(schema) if name in sent]
    for name in known:
        if len(sent.getall(name)) > 1:
            raise Invalid(f"{name} is given more than once", code=FIELD_TWICE, field=name)
        if "\x00" in sent[name]:
            raise wrong(name, "holds a NUL character, which no text of ours does")
    return body(schema, {name: sent[name] for name in known})


def names(schema: type[BaseModel]) -> Sequence[str]:
    """As they stand in a query."""
    return [field.alias or name for name, field in schema.model_fields.items()]


def check_known(sent: MultiMapping[str], known: Container[str]) -> None:
    """Raises Invalid."""
    for name in sent:
        if name not in known:
            raise Invalid(_unknown(name, THIS), code=UNKNOWN_FIELD)


def either(field: str, one: str | None, other: str | None) -> str | None:
    """What was said in one place or in both. Raises Invalid where they contradict."""
    if one is not None and other is not None and one != other:
        raise Invalid(f"{field} is given in two places, and they contradict", code=FIELD_TWICE, field=field)
    return other if one is None else one


def moment(field: str, text: str) -> datetime:
    """An ISO time; one without a zone is UTC. Raises Invalid."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong(field, "must be an ISO time such as 2025-10-22T06:00:00Z") from None


def wrong(field: str, must: str) -> Invalid:
    return Invalid(f"{field} {must}", code=INVALID_VALUE, field=field)


def missing(field: str) -> Invalid:
    return Invalid(f"{field} is required", code=MISSING_FIELD, field=field)


def _refusal(error: ValidationError, within: str) -> Invalid:
    """Of the path only our own names: what lies deeper is the sender's."""
    first = _first(error)
    field = ".".join(part for part in (within, str(first["loc"][0]) if first["loc"] else "") if part)
    if first["type"] == "missing":
        return missing(field)
    if first["type"] == "extra_forbidden":
        return Invalid(_unknown(str(first["loc"][0]), within or THIS), code=UNKNOWN_FIELD)
    said = f"{field}: {_sentence(first)}"
    return Invalid(said, code=WRONG_TYPE, field=field) if _of_type(first) else Invalid(said, code=INVALID_VALUE, field=field)


def _unknown(name: str, place: str) -> str:
    """Says the name only where it is a plain word: it is the sender's text."""
    return f"{place} has no field {name}" if _WORD.fullmatch(name) else f"{place} holds a field that it does not have"


def _first(error: ValidationError) -> ErrorDetails:
    """Of a field that may be of several types, what is wrong with the value of the right one says most."""
    found = error.errors(include_url=False, include_context=True)
    same = [one for one in found if one["loc"][:1] == found[0]["loc"][:1]]
    return next((one for one in same if not _of_type(one)), found[0])


def _of_type(error: ErrorDetails) -> bool:
    """A word that is none of those allowed is at least a word."""
    kind = error["type"]
    if kind == "literal_error":
        return not isinstance(error["input"], str)
    return kind.endswith(("_type", "_parsing")) or kind == "int_from_float"


def _sentence(error: ErrorDetails) -> str:
    if error["type"] == "string_pattern_mismatch":
        return in_words(str(error["ctx"]["pattern"]))
    return error["msg"].replace("Input should", "must").replace("String should", "must").replace("Value should", "must")
