"""What a dialect must bring: the paths it claims, its routes with their rules, and its way to speak an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import DomainError

Handler = Callable[[web.Request, Principal], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked, and the rule that says who may."""

    method: str
    path: str
    rule: Action
    handler: Handler
    streams: bool = False
    """An answer without end has no HEAD."""


class Dialect(Protocol):
    """One API that Trunkline speaks."""

    @property
    def name(self) -> str: ...

    @property
    def claims(self) -> tuple[str, ...]:
        """Path prefixes; the longest claim over all dialects answers for a path, its 404 and 405 included."""
        ...

    def routes(self) -> Sequence[Route]: ...

    def encode_error(self, error: DomainError) -> web.Response: ...


_STATUS: Final[Mapping[str, int]] = {
    "invalid": 400,
    "too_large": 413,
    "unsupported": 422,
    "unauthenticated": 401,
    "denied": 403,
    "not_found": 404,
    "conflict": 409,
    "exhausted": 429,
    "unavailable": 503,
    "overdue": 504,
    "broken": 500,
}
_STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "METHOD_NOT_ALLOWED": 405,
    "BODY_TIMEOUT": 408,
    "URI_TOO_LONG": 414,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "HEADERS_TOO_LARGE": 431,
}


def status_of(error: DomainError) -> int:
    """The HTTP status of a refusal where a document says nothing else."""
    return _STATUS_OF_CODE.get(error.code) or _STATUS.get(error.kind, 500)


def owner(dialects: Sequence[Dialect], path: str) -> Dialect:
    """Who answers for a path. One of the dialects must claim `/`."""
    claims = [(claim, dialect) for dialect in dialects for claim in dialect.claims if covers(claim, path)]
    return max(claims, key=lambda pair: len(pair[0]))[1]


def covers(claim: str, path: str) -> bool:
    """A claim covers whole segments: `/api/x` does not cover `/api/xy`."""
    return claim == "/" or path == claim or path.startswith(f"{claim.rstrip('/')}/")
