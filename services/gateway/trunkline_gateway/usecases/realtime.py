"""Tickets for channels: who gets one, and what it lets its holder hear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from trunkline.auth.claims import Token, bad
from trunkline.auth.principal import Principal
from trunkline.auth.tokens import Minted
from trunkline.contracts.errors import Unauthenticated
from trunkline.contracts.ids import TenantId
from trunkline_gateway.ports import Roll, Tickets

KIND: Final = "realtime"


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
    since: datetime | None
    token: Token


@dataclass(frozen=True, slots=True)
class Realtime:
    """`lifetime_s`: how long a ticket is good for coming in. `history_s`: how far back anybody hears."""

    tickets: Tickets
    roll: Roll
    now: Callable[[], datetime]
    lifetime_s: float = 3600.0
    history_s: float = 86400.0

    def mint(self, principal: Principal, wish: TicketWish) -> Minted:
        """Until `lifetime_s` is over, or what the caller holds is revoked."""
        earliest = self.now() - timedelta(seconds=self.history_s)
        since = earliest if wish.history else max(wish.since, earliest) if wish.since else None
        told = {"since": round(since.timestamp(), 3)} if since else {}
        return self.tickets.mint_ticket(KIND, principal, {"channel": wish.channel, "topics": list(wish.topics), **told}, self.lifetime_s)

    def admit(self, text: str) -> Admission:
        """Raises Unauthenticated (BAD_TOKEN, TOKEN_EXPIRED, TOKEN_REVOKED)."""
        ticket = self.tickets.verify_ticket(KIND, text)
        if self.roll.revoked(ticket.token):
            raise Unauthenticated("the token was revoked; ask for a new one", code="TOKEN_REVOKED")
        match ticket.says:
            case {"channel": str(channel), "topics": list(topics)}:
                since = ticket.says.get("since")
                moment = datetime.fromtimestamp(since, UTC) if isinstance(since, int | float) else None
                return Admission(ticket.token.principal.tenant, channel, frozenset(map(str, topics)), moment, ticket.token)
            case _:
                raise bad("the token names no channel and topics")

    def stands(self, admission: Admission) -> bool:
        """Whether whoever came in may stay: when a ticket expires nobody comes in by it any more, when it is revoked nobody stays."""
        return not self.roll.revoked(admission.token)
