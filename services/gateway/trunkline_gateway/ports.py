"""What the gateway needs from the world: owners that answer, timelines, a vault, and who is ready, may sign, counts, and remembers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import JsonValue, SecretStr

from trunkline.auth.claims import Token
from trunkline.auth.principal import Principal
from trunkline.auth.tokens import Minted, Ticket
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.integrity import Integrity
from trunkline.contracts.message import Accepted, Command
from trunkline.contracts.record import Event, Gap
from trunkline.contracts.subjects import TASK
from trunkline.contracts.task import TaskSubmitted
from trunkline.contracts.trace import SpanView


class Commands(Protocol):
    """The way to every owner."""

    async def send(self, service: str, id: str, command: Command, *, timeout: float = 10.0) -> Accepted:
        """The owner's answer. Raises the owner's refusal, or Unavailable when none answers within `timeout` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened to one task, and happens; `end` is the sequence of the record that ended it, if one did."""

    tenant: TenantId
    task: TaskId
    end: int | None = None


class Spans(Protocol):
    """What took how long, trace by trace."""

    async def spans(self, tenant: TenantId, trace_id: str, limit: int) -> Sequence[SpanView]:
        """The first `limit` that were told; none of a trace that nobody kept. Raises Unavailable."""
        ...


class Feed(Protocol):
    """The timelines of tasks."""

    async def find(self, tenant: TenantId, task: TaskId) -> Timeline | None:
        """As the log has it at this moment; nothing when it holds nothing of such a task."""
        ...

    async def submission(self, tenant: TenantId, task: TaskId) -> TaskSubmitted | None:
        """What was asked, and by whom; nothing when the log does not hold that any more. Costs one record."""
        ...

    def follow(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        """Everything beyond `after`, then what comes, to the task's end or for ever; in exact order, without gap or repeat.

        A cursor of another epoch, or of what is not kept, gives one Gap and then the whole of what there is.
        """
        ...

    def recent(self, timeline: Timeline, after: Cursor | None) -> AsyncIterator[Event | Gap]:
        """As `follow`, up to what is stored at this moment."""
        ...

    async def run(self, tenant: TenantId, task: TaskId) -> tuple[Event, ...]:
        """Everything about the run itself, without what its agent said; nothing when the log does not hold it any more."""
        ...

    async def page(self, timeline: Timeline, after: Cursor | None, limit: int) -> tuple[tuple[Event | Gap, ...], bool]:
        """What lies beyond `after` now, at most `limit` facts, and whether more lies there."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """One record about some task of a tenant, read only when asked for: most of them concern nobody."""

    task: TaskId
    part: str
    at: Cursor
    events: Callable[[], Sequence[Event]]

    def first(self) -> Sequence[Event]:
        """Its facts, where a task may begin with them."""
        return self.events() if self.part == TASK else ()


class Happenings(Protocol):
    """Everything that happens to a tenant, in the order of the log."""

    def follow_all(self, tenant: TenantId, after: Cursor) -> AsyncIterator[Passage]:
        """Beyond `after`, which must be of this log: what is stored, then what comes, for ever."""
        ...

    def all_recent(self, tenant: TenantId, after: Cursor) -> AsyncIterator[Passage]:
        """As `follow_all`, up to what is stored at this moment."""
        ...

    async def newest(self) -> Cursor:
        """The place of what was stored last, whoever's it is. Raises Unavailable."""
        ...

    async def before(self, moment: datetime) -> Cursor:
        """The place behind which everything lies that was stored at that moment or later. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at GitHub. The number stays theirs; the login may be somebody else's tomorrow."""

    id: int
    login: str


class Hub(Protocol):
    """What GitHub says of a token and of a repository. Nothing of a token is kept or told."""

    async def person(self, token: SecretStr) -> Person:
        """Whose token it is. Raises Unauthenticated for one that GitHub does not take or that is nobody's, Unavailable."""
        ...

    async def private(self, repo: str, token: SecretStr | None) -> bool:
        """Whether the repository is for some only, as the token's owner sees it, or without one as everybody does.

        Raises NotFound for what may not be seen, Unauthenticated, Unavailable.
        """
        ...


class Vault(Protocol):
    """Where callers' own tokens for the forge lie, sealed, as long as the tasks that they came with."""

    async def put(self, tenant: TenantId, handle: str, secret: str) -> None:
        """Returns when it is on disk. Raises Unsupported where no tokens are kept, Unavailable."""
        ...

    async def forget(self, tenant: TenantId, handle: str) -> None:
        """Raises Unavailable."""
        ...


class Bearers(Protocol):
    """Whose a bearer is that stands for itself: the key of an instance, an API key, or a token."""

    def who(self, text: str, *, late: bool = False) -> Principal:
        """`late`: also of a key whose instance is over. Raises Unauthenticated."""
        ...


class Beats(Protocol):
    """Signs of life of agents that call home; of each only the last is kept, and none is waited for."""

    async def put(self, tenant: TenantId, task: TaskId, at: datetime, *, heartbeat: bool = False) -> None:
        """`heartbeat`: of one that sends heartbeats, whose silence means something."""
        ...

    async def last(self, tenant: TenantId, task: TaskId) -> datetime | None:
        """None: nobody knows. Raises Unavailable."""
        ...

    def heard(self, tenant: TenantId, task: TaskId, tell: Callable[[datetime], None]) -> AbstractAsyncContextManager[None]:
        """Inside the block `tell` is called with each moment, as it comes."""
        ...


class Readiness(Protocol):
    """Who would answer right now."""

    async def services(self) -> Mapping[str, bool]:
        """Every service by name; takes about a second at most."""
        ...

    async def bus(self) -> bool:
        """Whether it answers; takes about a second at most."""
        ...

    async def integrity(self) -> Integrity | None:
        """How the log stands, as the worst of its witnesses knows it; None: nobody says. Takes about a second at most."""
        ...


class Signer(Protocol):
    """Whoever holds the secret that tokens are signed with."""

    @property
    def signs(self) -> bool:
        """Whether there is such a secret."""
        ...

    @property
    def longest_s(self) -> float:
        """Seconds that a token may live at most."""
        ...

    def knows(self, secret: str) -> bool:
        """Whether this is the secret; takes the same time whatever comes."""
        ...

    def mint(self, principal: Principal, lifetime_s: float) -> Minted: ...

    def verify(self, text: str) -> Token:
        """What a token says. Raises Unauthenticated; whether it was revoked is the roll's to say."""
        ...

    def verify_late(self, text: str, late_s: float) -> Token:
        """As `verify`, also of a token that is over for less than `late_s`: it says who held it, and gets nobody in."""
        ...


class Tickets(Protocol):
    """Whoever signs tokens that are good for one kind of thing."""

    def mint_ticket(self, kind: str, principal: Principal, says: Mapping[str, JsonValue], lifetime_s: float) -> Minted:
        """A token that is good for one kind of thing, and gets nobody in elsewhere. Raises Unavailable where nothing signs."""
        ...

    def verify_ticket(self, kind: str, text: str) -> Ticket:
        """What such a token says. Raises Unauthenticated."""
        ...


class Roll(Protocol):
    """What was revoked, known to every gateway. Moments are epoch seconds; `until` is when it may be forgotten, infinity for never."""

    @property
    def changes(self) -> int:
        """Another number whenever something was revoked."""
        ...

    def revoked(self, token: Token) -> bool: ...

    async def revoke_token(self, token: Token, until: float) -> None:
        """Returns when it is on disk. Raises Unavailable."""
        ...

    async def revoke_subject(self, tenant: TenantId, subject: str, before: float, until: float) -> None:
        """Everything that a subject holds and that was minted up to `before`."""
        ...


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a limit; `resets_at` in seconds since 1970, when there is room for one more."""

    limit: int
    remaining: int
    resets_at: int


class Counted(Protocol):
    """A request that a limit counted, or refused."""

    @property
    def retry_after(self) -> int | None:
        """Seconds after which there is room again; nothing when the request was let in."""
        ...

    async def quota(self) -> Quota: ...


class Limiter(Protocol):
    """How often callers ask, over all gateways."""

    @property
    def names(self) -> frozenset[str]:
        """Every limit that there is."""
        ...

    def caller(self, peer: str, forwarded: Sequence[str]) -> str:
        """The address that asks, by that of the peer and what proxies say (X-Forwarded-For)."""
        ...

    def screen(self, address: str) -> float:
        """Seconds that a flood from one address has to wait; 0 for everybody else."""
        ...

    def guessing(self, address: str) -> float:
        """Seconds that an address has to wait that showed too many credentials that were not valid; 0 for everybody else."""
        ...

    async def failed(self, address: str) -> Counted | None:
        """A credential that is not valid was shown from there."""
        ...

    async def count(self, name: str, caller: str, *, write: bool) -> Counted | None:
        """One more of `caller`; nothing when nobody counts. Raises Unavailable for a write that nobody can count."""
        ...

    async def admit(self, name: str, callers: Sequence[str], *, id: str = "") -> Counted | None:
        """One more of all `callers` together; where one of them has no room, of none. What names itself by `id` counts once.

        Nothing when nobody counts. Raises Unavailable when it cannot be counted.
        """
        ...

    async def give_back(self, counted: Counted) -> None:
        """What `admit` let in was not used: as if it had not been asked for. What cannot be given back leaves its window by itself."""
        ...

    async def standing(self, name: str, callers: Sequence[str]) -> Mapping[int, Quota]:
        """What is left to `callers` together, by window in seconds, without counting. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it is kept for repeats of its request; `type` as in Content-Type."""

    status: int
    body: bytes
    type: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a request. Whoever works on its repeat has the same `seed`, so that nothing is made twice."""

    key: str
    digest: str
    seed: str
    seq: int
    id: str = ""
    """What it was written by."""


class Memory(Protocol):
    """Answers to requests that came with a key of their sender's. Only `claim` raises."""

    async def claim(self, key: str, digest: str) -> Claim | Kept:
        """The right to work on it, or the answer that it got. `digest` is that of the body.

        Raises Unsupported when the key stands for another body, Conflict while another works on it, Unavailable.
        """
        ...

    async def keep(self, claim: Claim, answer: Kept) -> None: ...

    async def reopen(self, claim: Claim) -> None:
        """Nobody knows what was done: the same request may be worked on again at once, and no other under this key."""
        ...

    async def forget(self, claim: Claim) -> None:
        """Nothing was done: the key is free."""
        ...
