"""Which repositories there are to work on, and who may look at the work, as GitHub says it to whoever asks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final, NoReturn

from pydantic import SecretStr

from trunkline.auth.principal import Principal, Role
from trunkline.contracts.errors import NotFound, Unauthenticated, Unavailable
from trunkline.contracts.task import Visibility
from trunkline_gateway.ports import Hub
from trunkline_gateway.usecases.flights import Flights
from trunkline_gateway.usecases.guests import Guests
from trunkline_gateway.usecases.lately import Lately

FRESH_S: Final = 60.0
LIMITED: Final = "GITHUB_LIMITED"
MISSING: Final = "the repository does not exist, or is private; check its name, or show a token of somebody who may read it"


class Repositories:
    """Asked before a job is taken."""

    def __init__(self, hub: Hub, flights: Flights[bool], guests: Guests | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._flights = flights
        self._guests = guests
        self._clock = clock
        self._known: Lately[bool | None] = Lately()
        self._limited_until = -math.inf

    async def visibility(self, principal: Principal, repo: str, token: SecretStr | None) -> Visibility:
        """Who may look at work of the caller's there. Of a caller of ours without a token nothing is asked: its run will see what the
        installation may. Where somebody's own token opens a private repository, the work is that caller's alone, whoever it is.

        Raises NotFound (REPO_NOT_FOUND), Unauthenticated for a token that GitHub does not take, Unavailable.
        """
        ours = principal.role not in (Role.ANONYMOUS, Role.GUEST)
        if ours and token is None:
            return Visibility.PRIVATE
        private = await self._private(repo.lower(), token)
        if private and token is None:  # we can see it, and they cannot
            _missing()
        if private and principal.role is Role.ANONYMOUS:
            raise Unauthenticated("work on a private repository is for its submitter only, who must be known", code="AUTH_REQUIRED")
        if private:
            return Visibility.OWNER
        return Visibility.PRIVATE if ours else Visibility.OPEN

    async def _private(self, repo: str, token: SecretStr | None) -> bool:
        shown = token.get_secret_value().encode() if token else b""
        name = sha256(b"%d:%b%b" % (len(repo), repo.encode(), shown)).digest()
        known = self._known.get(name)
        if known is None or self._clock() - known[1] >= FRESH_S:
            known = await self._asked(name, repo, token), self._clock()
            self._known.put(name, *known)
        return _missing() if known[0] is None else known[0]

    async def _asked(self, name: bytes, repo: str, token: SecretStr | None) -> bool | None:
        if token is None:
            self._check_limited()
        try:
            return await self._flights.ask(name, lambda: self._hub.private(repo, token))
        except NotFound:
            return None
        except Unauthenticated:
            if token and self._guests:
                self._guests.refused(token)
            raise
        except Unavailable as error:
            wait = error.details.get("retry_after")
            if token is None and error.code == LIMITED and isinstance(wait, int):
                self._limited_until = self._clock() + wait
            raise

    def _check_limited(self) -> None:
        """Those without a token share one limit of GitHub's: to ask on beyond it makes that only longer."""
        if (wait := self._limited_until - self._clock()) > 0:
            raise Unavailable("GitHub's own limits are used up; try again later", code=LIMITED, retry_after=math.ceil(wait))


def open_to_all(principal: Principal) -> Visibility:
    """Where the forge is a folder, which knows no secrets among those who may submit."""
    return Visibility.OPEN if principal.role in (Role.ANONYMOUS, Role.GUEST) else Visibility.PRIVATE


def _missing() -> NoReturn:
    raise NotFound(MISSING, code="REPO_NOT_FOUND")
