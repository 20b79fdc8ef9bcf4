"""What can be asked of a gateway, as values: nothing here talks to anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar, cast
from urllib.parse import quote

from pydantic import BaseModel, JsonValue

from trunkline.sdk.credentials import GITHUB_HEADER, Credentials, Surface, TokenPlace
from trunkline.sdk.sse import ServerEvent

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
Object = dict[str, JsonValue]
KEY: Final = "Idempotency-Key"
_EVENT_ID: Final = re.compile(r"[!-~]{0,100}")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and how its answer is read. A POST without a `key` of the caller's gets one when it is asked."""

    method: str
    path: str
    surface: Surface
    parse: Callable[[bytes], T] = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Object | None = field(default=None, repr=False)
    key: str = ""
    github: TokenPlace = TokenPlace.NOWHERE
    github_token: str = field(default="", repr=False)
    """For this call instead of the client's own."""


@dataclass(frozen=True, slots=True)
class Feed(Generic[T]):
    """One stream: how its events are read, which is the last, and what tells that there will be none any more."""

    path: str
    surface: Surface
    parse: Callable[[ServerEvent], T | None]
    last: Callable[[T], bool]
    is_gap: Callable[[T], bool]
    over: Call[bool] | None
    """Asked when it closes without a last event; without it the close is the end."""
    query: Mapping[str, str] = field(default_factory=dict)
    after: str = ""

    def __post_init__(self) -> None:
        if not _EVENT_ID.fullmatch(self.after):
            raise ValueError("after must be the id of an event")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list. `next` asks for the rest; `total` counts all that match, where that is known."""

    items: tuple[T, ...]
    total: int | None = None
    next: Call[Page[T]] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A call as it goes over the wire."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


def request(call: Call[T], who: Credentials, key: str) -> Request:
    """As `who`; `key` makes every repeat of a POST one with the first. Raises ValueError for what JSON cannot say. Pure."""
    github = call.github_token or who.github
    headers = {"Accept": "application/json", **who.headers(call.surface)}
    body = call.body
    if call.method == "POST":
        headers[KEY] = call.key or key
    if github and call.github is TokenPlace.HEADER:
        headers[GITHUB_HEADER] = github
    if github and call.github is TokenPlace.BODY and (who.known or call.github_token):
        body = {**(body or {}), "githubToken": github}
        headers |= {} if who.known else Credentials(github=github).headers(call.surface)
    if body is not None:
        headers["Content-Type"] = "application/json"
    text = None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Request(call.method, call.path, call.query, headers, None if text is None else text.encode())


def answer(model: type[Model]) -> Callable[[bytes], Model]:
    """Reads an answer that is one object."""
    return model.model_validate_json


def part(id: str) -> str:
    """A name as one part of a path. Raises ValueError for one that is empty or would be another path."""
    if not id or id in (".", ".."):
        raise ValueError(f"{id!r} names nothing")
    return quote(id, safe="")


def check(verb: str, given: Iterable[str], options: type, *more: str) -> None:
    """Raises TypeError, which names what `verb` takes, for an argument that is neither one of its `options` nor of `more`."""
    takes = (*more, *options.__annotations__)
    for name in given:
        if name not in takes:
            raise TypeError(f"{verb}() has no argument {name!r}: it takes {', '.join(takes)}")


def known(**values: object) -> Object:
    """What was given of a body; None means nothing. What JSON cannot say is found out when it is written."""
    return cast(Object, {name: value for name, value in values.items() if value is not None})


def words(**values: object) -> dict[str, str]:
    """What was given of a query: lists between commas, times as ISO."""
    return {name: _word(value) for name, value in values.items() if value is not None}


Part = tuple[tuple[T, ...], int | None, str | None]


def cursors(read: Callable[[bytes], Part[T]], path: str, query: Mapping[str, str], surface: Surface = Surface.TASKS) -> Call[Page[T]]:
    """A list, page by page by a cursor: `read` takes items, total and cursor from an answer."""

    def page(raw: bytes) -> Page[T]:
        items, total, cursor = read(raw)
        return Page(items, total, cursors(read, path, {**query, "cursor": cursor}, surface) if cursor else None)

    return Call("GET", path, surface, page, query)


def _word(value: object) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(map(str, value))
    moment = getattr(value, "isoformat", None)
    return str(moment() if moment else value)
