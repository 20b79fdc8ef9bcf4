"""Makes messages of what a handler says, and says what does not fit."""

from __future__ import annotations

from typing import Final, TypedDict, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from trunkline.contracts.agent import MOST_LINE, MOST_TEXT, Artifact, Progress, Text
from trunkline.contracts.message import Message
from trunkline.sdk.agents.failing import TaskError, readable

T = TypeVar("T", bound=Message)
MOST_BYTES: Final = 192 << 10
"""Of one thing that is said, as JSON."""


class ArtifactRest(TypedDict, total=False):
    """What an artifact is, beyond its name and text."""

    media_type: str
    value: object
    url: str


def valid(kind: type[T], **fields: object) -> T:
    """Raises TaskError, which says what does not fit; trying again will not mend that."""
    try:
        return kind.model_validate_json(to_json(fields))
    except (PydanticSerializationError, RecursionError):
        raise TaskError(f"something in this {kind.__name__.lower()} is no JSON: give plain values, or pydantic models") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "wish"
        raise TaskError(f"the {where} of {kind.__name__.lower()} does not fit: {first['msg'].lower()}") from None


def progress(text: str, fraction: float | None) -> Progress:
    """Sums of parts may be a little more than the whole; what is no number says nothing."""
    share = None if fraction is None or fraction != fraction else min(max(fraction, 0.0), 1.0)
    return valid(Progress, text=readable(text)[:MOST_LINE], fraction=share)


def texts(text: str, *, is_error: bool) -> list[Text]:
    """As many as it takes; none for no text."""
    whole = readable(text)
    return [Text(text=whole[start : start + MOST_TEXT], is_error=is_error) for start in range(0, len(whole), MOST_TEXT)]


def artifact(name: str, text: str, rest: ArtifactRest) -> Artifact:
    name, text = readable(name), readable(text)
    if len(text) > MOST_TEXT:
        raise TaskError(f"the artifact {name[:100]!r} has {len(text)} characters; more than {MOST_TEXT} belong elsewhere: give its url")
    made = valid(Artifact, name=name, text=text, **rest)
    if len(made.written()) > MOST_BYTES:
        raise TaskError(f"the artifact {name[:100]!r} has more than {MOST_BYTES} bytes, which belong elsewhere: give its url")
    return made
