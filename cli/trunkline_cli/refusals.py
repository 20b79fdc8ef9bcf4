"""What a gateway refused, whichever surface spoke: its own sentence, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import aiohttp
from pydantic import JsonValue

from trunkline.contracts.errors import (
    Conflict,
    Denied,
    DomainError,
    Exhausted,
    Invalid,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from trunkline_cli.plain import plain

LONGEST_WAIT: Final = 5.0
"""Seconds: a limit that ends sooner is waited out, and one that ends later is said."""
_ERRORS: Final[Mapping[int, type[DomainError]]] = {
    401: Unauthenticated, 403: Denied, 404: NotFound, 409: Conflict, 413: TooLarge, 429: Exhausted,
}  # fmt: skip
_GIVE: Final = "give it by TRUNKLINE_TOKEN, TRUNKLINE_API_KEY or --token-file."
_WHAT_TO_DO: Final[Mapping[int, str]] = {
    401: f" `trunkline token --subject NAME --role agent` mints a credential; {_GIVE}",
    403: f" Another credential may be allowed to: {_GIVE}",
}


def waits(refused: DomainError) -> bool:
    """Whether it is over so soon that it is waited out; what is only away may come back at any moment. Pure."""
    return isinstance(refused, Unavailable) or 0 < seconds_of(refused) <= LONGEST_WAIT


def seconds_of(refused: DomainError) -> float:
    """How long to wait until a limit lets more through; 0 where nobody said. Pure."""
    seconds = refused.details.get("retry_after")
    return float(seconds) if isinstance(seconds, int | float) else 0.0


def refusal(status: int, body: JsonValue, retry_after: str) -> DomainError | None:
    """What a gateway refused, in its own sentence, whichever surface spoke; nothing where none of ours did. Pure."""
    spoken = body if isinstance(body, dict) else {}
    said = spoken.get("detail", spoken.get("error"))
    if isinstance(said, dict) and isinstance(said.get("message"), str):
        spoken, said = said, said["message"]
    if not said:
        return None
    text = plain(said if isinstance(said, str) else json.dumps(said))
    kind = Unavailable if status >= 500 else _ERRORS.get(status, Invalid)
    details: dict[str, JsonValue] = {"retry_after": int(retry_after)} if kind is Exhausted and retry_after.isdecimal() else {}
    return kind(f"{text}{_end(text)}{_WHAT_TO_DO.get(status, '')}", code=plain(str(spoken.get("code", ""))) or None, **details)


def _end(text: str) -> str:
    return "" if text.endswith((".", "!", "?")) else "."


async def refuse(answer: aiohttp.ClientResponse) -> None:
    """Raises what the answer says, unless it is a good one."""
    if answer.status < 300:
        return
    try:
        body: JsonValue = await answer.json()
    except (aiohttp.ClientError, ValueError):
        body = None
    kind = Unavailable if answer.status >= 500 else _ERRORS.get(answer.status, Invalid)
    stranger = kind(f"{answer.url.origin()}{answer.url.path} answers {answer.status}: is that a gateway of Trunkline?")
    raise refusal(answer.status, body, answer.headers.get("Retry-After", "")) or stranger


async def told_json(answer: aiohttp.ClientResponse) -> JsonValue:
    """Raises Unavailable for what is no JSON."""
    try:
        return await answer.json()  # type: ignore[no-any-return]  # aiohttp calls JSON Any
    except ValueError:
        raise Unavailable(f"{answer.url.origin()} does not answer in JSON: is that a gateway of Trunkline?") from None
