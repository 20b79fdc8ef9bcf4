"""Who asks, by a token of GitHub's: asked there once, remembered by the token's hash, and never kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pydantic import SecretStr

from trunkline.auth.principal import HOME, Principal, Role, Tier
from trunkline.contracts.errors import Unauthenticated, Unavailable
from trunkline_gateway.ports import Hub, Person
from trunkline_gateway.usecases.flights import Flights
from trunkline_gateway.usecases.lately import Lately

GOOD_S: Final = 300.0
BAD_S: Final = 60.0
BELIEVED_S: Final = 3600.0
"""While GitHub is away, from the moment on when it last vouched."""
QUIET_S: Final = 5.0
"""GitHub is left alone after it did not answer: nobody waits for what the one before did not get."""
AWAY: Final = "GITHUB_AWAY"


@dataclass(frozen=True, slots=True)
class Pro:
    """Who is pro: logins in whatever case, numbers, and subjects (`github:<number>`). Digits alone are a number, never a login."""

    named: frozenset[str] = frozenset()

    def __contains__(self, person: Person) -> bool:
        login = person.login.lower()
        names = {str(person.id), f"github:{person.id}"} | ({login} if login and not login.isdigit() else set())
        return not names.isdisjoint(self.named)


class Guests:
    """The people for whom GitHub vouches."""

    def __init__(self, hub: Hub, flights: Flights[Person], pro: Pro | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._flights = flights
        self._pro = pro or Pro()
        self._clock = clock
        self._good: Lately[Principal] = Lately()
        self._bad: Lately[str] = Lately()
        """Apart: whoever tries tokens pushes no good one out."""
        self._quiet_until = -math.inf

    async def who(self, token: SecretStr) -> Principal:
        """Whose token it is. Raises Unauthenticated, and Unavailable when GitHub does not say and did not within the last hour."""
        name, now = _name(token), self._clock()
        known = self._good.get(name)
        if known and now - known[1] < GOOD_S:
            return known[0]
        if (bad := self._bad.get(name)) and now - bad[1] < BAD_S:
            raise Unauthenticated(bad[0], code="AUTH_REQUIRED")
        try:
            self._check_quiet(now)
            return self._guest(await self._flights.ask(name, lambda: self._asked(name, token)))
        except Unavailable:
            if known and now - known[1] < BELIEVED_S:
                return known[0]
            raise

    def stands(self, token: SecretStr, principal: Principal) -> bool:
        """Whether it is still that guest's, by what is known; where that is old, GitHub is asked, and the next look will know."""
        name, now = _name(token), self._clock()
        known = self._good.get(name)
        if known is None or known[0] != principal or now - known[1] >= BELIEVED_S:
            return False
        if now - known[1] >= GOOD_S and now >= self._quiet_until:
            try:
                self._flights.begin(name, lambda: self._asked(name, token))
            except Unavailable:
                return True
        return True

    def refused(self, token: SecretStr) -> None:
        """GitHub did not take it for something else: what was known of it counts for nothing."""
        self._good.drop(_name(token))

    async def _asked(self, name: bytes, token: SecretStr) -> Person:
        try:
            person = await self._hub.person(token)
        except Unauthenticated as error:
            self._good.drop(name)
            self._bad.put(name, error.message, self._clock())
            raise
        except Unavailable as error:
            if error.code == AWAY:
                self._quiet_until = self._clock() + QUIET_S
            raise
        self._good.put(name, self._guest(person), self._clock())
        return person

    def _guest(self, person: Person) -> Principal:
        tier = Tier.PRO if person in self._pro else Tier.AUTHENTICATED
        return Principal(HOME, f"github:{person.id}", Role.GUEST, tier, person.login)

    def _check_quiet(self, now: float) -> None:
        if now < self._quiet_until:
            wait = math.ceil(self._quiet_until - now)
            raise Unavailable("GitHub did not answer a moment ago; try again in a moment", code=AWAY, retry_after=wait)


def _name(token: SecretStr) -> bytes:
    return sha256(token.get_secret_value().encode()).digest()
