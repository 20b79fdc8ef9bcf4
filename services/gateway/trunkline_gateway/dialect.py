"""What a dialect must bring: the paths it claims, its routes with their rules, and its way to speak an error."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web
from pydantic import BaseModel, SecretStr

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal, Role
from trunkline.contracts.errors import DomainError
from trunkline.contracts.ids import TaskId
from trunkline.runtime.ids import new_id

Handler = Callable[[web.Request, Principal], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Media:
    """An answer, or a part of one, that is no JSON object of a model: a page, a stream, a file."""

    type: str
    """As in Content-Type, without parameters; empty: no body at all."""
    description: str = ""


Answer = type[BaseModel] | Media


@dataclass(frozen=True, slots=True)
class Spec:
    """What the API document says of a route: the models that validate and those that answer."""

    summary: str
    tag: str
    description: str = ""
    path: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_required: bool = True
    answers: Mapping[int, Answer | tuple[Answer, ...]] = field(default_factory=dict)
    """By status, refusals aside; several where the client chooses, or the thing asked for decides."""
    refusals: tuple[int, ...] = ()
    """Statuses that this route may refuse with, besides those that every route of its kind may."""
    error: Answer | None = None
    """The shape of a refusal; None takes that of the dialect."""


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked, and the rule that says who may."""

    method: str
    path: str
    rule: Action
    handler: Handler
    spec: Spec
    limit: str = ""
    """The name of the limit that counts it; empty: none of its own."""
    counts: bool = False
    """Its handler counts it, for only the body says who is to be counted."""
    streams: bool = False
    """An answer without end has no HEAD."""
    patient: bool = False
    """Nobody waits for its answer: it may be read together with others, a moment later."""
    secret: bool = False
    """Its answer holds a secret: that is never stored, and a repeat is worked on again, with the same ids."""

    @property
    def remembers(self) -> bool:
        """Whether it takes an Idempotency-Key. Asking again for a token does no harm."""
        return self.method == "POST" and not self.streams and self.rule is not Action.MINT_TOKEN


class Ids:
    """Ids for what a request makes. With a seed the same request, repeated, makes the same ones; without, each is new."""

    __slots__ = ("_made", "_seed")

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._made = 0

    @property
    def repeatable(self) -> bool:
        """Whether the request, sent again, is the same one."""
        return bool(self._seed)

    def id(self) -> str:
        """32 lower-case hex digits, in the layout of those that are minted elsewhere."""
        if not self._seed:
            return new_id()
        self._made += 1
        tail = int(hashlib.sha256(f"{self._seed}.{self._made}".encode()).hexdigest(), 16)
        return f"{self._seed[:12]}7{tail & 0xFFF:03x}{8 | tail >> 12 & 3:x}{tail >> 14 & (1 << 60) - 1:015x}"

    def task_id(self) -> TaskId:
        return TaskId(self.id())


IDS: Final = web.RequestKey("ids", Ids)
ADDRESS: Final = web.RequestKey("address", str)
PARTS: Final = web.RequestKey("parts", Mapping[str, str])
"""On every request that reaches a handler; the second is where it comes from, past the proxies that we trust, the third what stands in
its path where its route has names."""


class Visitors(Protocol):
    """Whoever a dialect knows besides those who show a credential of ours."""

    @property
    def roles(self) -> frozenset[Role]:
        """Those that nobody has elsewhere: guests, for whom GitHub speaks, and agents with the key of their instance."""
        ...

    async def token(self, request: web.Request) -> SecretStr | None:
        """What the request shows to be known by, if it shows such. Raises Invalid; Unauthenticated for what can be nobody's."""
        ...

    async def who(self, token: SecretStr) -> Principal:
        """Whose it is. Raises Unauthenticated; Unavailable while nobody can say."""
        ...

    def stands(self, token: SecretStr, principal: Principal) -> bool:
        """Whether it is still theirs; asked often, and answered at once."""
        ...


class Dialect(Protocol):
    """One API that Trunkline speaks."""

    @property
    def name(self) -> str: ...

    @property
    def claims(self) -> tuple[str, ...]:
        """Path prefixes; the longest claim over all dialects answers for a path, its 404 and 405 included."""
        ...

    @property
    def error_model(self) -> Answer:
        """The shape of a refusal, for the API document."""
        ...

    @property
    def strict(self) -> bool:
        """Whether a credential that is not valid is refused; else whoever shows one that we do not know counts as a stranger."""
        ...

    @property
    def visitors(self) -> Visitors | None:
        """Asked about whoever would be a stranger otherwise; nothing where all others are strangers."""
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


def owners(dialects: Sequence[Dialect]) -> Callable[[str], Dialect]:
    """Tells who answers for a path, or for what is none, as `OPTIONS *` has it. One of the dialects must claim `/`."""
    claims = sorted(((claim, dialect) for dialect in dialects for claim in dialect.claims), key=lambda pair: -len(pair[0]))
    at_last = claims[-1][1]
    return lambda path: next((dialect for claim, dialect in claims if path.startswith(claim) and covers(claim, path)), at_last)


def covers(claim: str, path: str) -> bool:
    """A claim covers whole segments: `/api/x` does not cover `/api/xy`."""
    return claim == "/" or path == claim or path.startswith(f"{claim.rstrip('/')}/")
