"""Tickets for channels: who gets one, and what it lets its holder hear."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import JsonValue

from trunkline.auth.claims import Token, bad
from trunkline.auth.keys import NO_KEYS, KeyRing
from trunkline.auth.principal import Principal
from trunkline.auth.tokens import Minted, mark_of
from trunkline.contracts.errors import Unauthenticated
from trunkline.contracts.ids import TenantId
from trunkline_gateway.ports import Roll, Tickets

KIND: Final = "realtime"
_SHOWN: Final = ("login", "key")


@dataclass(frozen=True, slots=True)
class TicketWish:
    """Which ticket is wanted. `since`: what was said from then on is told first; None: only what comes."""

    channel: str
    topics: tuple[str, ...]
    since: datetime | None = None
    history: bool = False
    """All that may be told of what was."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What a ticket lets its holder hear."""

    tenant: TenantId
    channel: str
    topics: frozenset[str]
    history: bool
    """Whether what was is told without being asked for."""
    earliest: datetime
    """Nothing that was said before it is told, whatever is asked for."""
    token: Token
    logins: tuple[Token, ...] = ()
    """As what the token and the API key count that the ticket was got with: when one is revoked, so is the ticket."""


@dataclass(frozen=True, slots=True)
class Realtime:
    """`lifetime_s`: how long a ticket is good for coming in. `history_s`: how far back anybody hears."""

    tickets: Tickets
    roll: Roll
    now: Callable[[], datetime]
    lifetime_s: float = 3600.0
    history_s: float = 86400.0
    keys: KeyRing = NO_KEYS

    def mint(self, principal: Principal, wish: TicketWish, shown: str = "", key: str = "") -> Minted:
        """Until `lifetime_s` is over, or what the caller holds is revoked. `shown` and `key`: the token and key that it showed."""
        earliest = self.now() - timedelta(seconds=self.history_s)
        since = earliest if wish.history else max(wish.since, earliest) if wish.since else None
        told: dict[str, JsonValue] = {"since": round(since.timestamp(), 3)} if since else {}
        login: dict[str, JsonValue] = {"login": mark_of(shown)} if shown else {}
        if found := self.keys.find(key):
            login["key"] = found.mark
        says: dict[str, JsonValue] = {"channel": wish.channel, "topics": list(wish.topics), **told, **login}
        return self.tickets.mint_ticket(KIND, principal, says, self.lifetime_s)

    def admit(self, text: str) -> Admission:
        """Raises Unauthenticated (BAD_TOKEN, TOKEN_EXPIRED, TOKEN_REVOKED)."""
        ticket = self.tickets.verify_ticket(KIND, text)
        logins = tuple(replace(ticket.token, mark=str(ticket.says[name])) for name in _SHOWN if name in ticket.says)
        if self._revoked(ticket.token, *logins):
            raise Unauthenticated("the token was revoked; ask for a new one", code="TOKEN_REVOKED")
        match ticket.says:
            case {"channel": str(channel), "topics": list(topics)}:
                said = ticket.says.get("since")
                since = float(said) if isinstance(said, int | float) else None
                earliest = self._earliest(since, ticket.token.issued_at)
                return Admission(
                    ticket.token.principal.tenant, channel, frozenset(map(str, topics)), since is not None, earliest, ticket.token, logins
                )
            case _:
                raise bad("the token names no channel and topics")

    def _earliest(self, since: float | None, issued_at: float) -> datetime:
        """A ticket without history reaches as far back from its making as it is good for: whoever is cut comes back within that."""
        now = self.now().timestamp()
        issued = now if math.isinf(issued_at) else min(issued_at, now)
        reach = issued - self.lifetime_s if since is None else since
        return datetime.fromtimestamp(max(reach, now - self.history_s), UTC)

    def stands(self, admission: Admission) -> bool:
        """Whether whoever came in may stay: when a ticket expires nobody comes in by it any more, when it is revoked nobody stays."""
        return not self._revoked(admission.token, *admission.logins)

    def _revoked(self, *tokens: Token) -> bool:
        return any(map(self.roll.revoked, tokens))
