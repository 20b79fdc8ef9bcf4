"""A GitHub App's tokens: one for an installation and a repository, with no more rights than needed, renewed before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC

from pydantic import JsonValue

from trunkline.auth.tokens import app_assertion
from trunkline.contracts.errors import Denied, DomainError, NotFound
from trunkline.github.api import Account, Installation, InstallationToken
from trunkline.github.calls import Caller, Calls, Wish
from trunkline.github.text import Place

RENEW_S = 300.0
"""Seconds before its end at which a token is not given out any more."""
INSTALLATION_S = 3600.0
MOST_KNOWN = 1000


@dataclass(frozen=True, slots=True)
class Rights:
    """What an App's tokens are to allow: to write what each of these words names."""

    needed: tuple[str, ...]
    extra: tuple[str, ...] = ()
    """Wanted beside; an installation that lacks them still serves."""
    offered: tuple[str, ...] = ()
    """Wanted where the installation is known to have them."""


@dataclass(frozen=True, slots=True)
class AppOptions:
    """An App by its id and its private key (PEM)."""

    id: str
    key_pem: str = field(repr=False)
    rights: Rights


@dataclass(frozen=True, slots=True)
class _Spot:
    """What a token is for."""

    place: Place
    installation: int | None

    @property
    def key(self) -> str:
        return f"{self.place.key} {self.installation or ''}"


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    expires_at: float
    installation: int


@dataclass(slots=True)
class _Flight:
    """A request for a token that others wait for."""

    landed: asyncio.Event = field(default_factory=asyncio.Event)
    error: DomainError | None = None


class AppTokens:
    """Tokens of one App, by repository; `now` in epoch seconds."""

    def __init__(self, calls: Calls, options: AppOptions, doubt_s: float, now: Callable[[], float]) -> None:
        self._options = options
        self._now = now
        self._account = Account(calls, _Assertion(options, now), doubt_s)
        self._installations: dict[str, tuple[Installation, float]] = {}
        self._tokens: dict[str, _Token] = {}
        self._flights: dict[str, _Flight] = {}

    async def get(self, place: Place, installation: int | None = None) -> Caller:
        """A token that lives for at least RENEW_S. Whoever asks while it is fetched waits for the same one.

        `installation` by its number; None: that of the repository.
        """
        spot = _Spot(place, installation)
        while not (known := self._fresh(spot)):
            flight = self._flights.get(spot.key)
            if flight is None:
                known = await self._fly(spot)
                break
            await flight.landed.wait()
            if flight.error is not None:
                raise flight.error
        return Caller(f"installation/{known.installation}", known.text)

    def drop(self, token: str) -> None:
        """Forget it, unless a newer one stands there by now."""
        for key in [key for key, known in self._tokens.items() if known.text == token]:
            del self._tokens[key]

    def _fresh(self, spot: _Spot) -> _Token | None:
        known = self._tokens.get(spot.key)
        return known if known is not None and known.expires_at - self._now() > RENEW_S else None

    async def _fly(self, spot: _Spot) -> _Token:
        flight = self._flights[spot.key] = _Flight()
        try:
            _bound(self._tokens)
            self._tokens[spot.key] = token = await self._made(spot)
            return token
        except DomainError as error:
            flight.error = error
            raise
        finally:
            # Also when it was cancelled: then one of those who wait flies.
            del self._flights[spot.key]
            flight.landed.set()

    async def _made(self, spot: _Spot) -> _Token:
        place = spot.place
        installation = Installation(id=spot.installation) if spot.installation else await self._installation(place)
        path = f"/app/installations/{installation.id}/access_tokens"
        rights: dict[str, JsonValue] = dict.fromkeys(self._rights(installation, place), "write")
        body: dict[str, JsonValue] = {"repositories": [place.name], "permissions": rights}
        wish = Wish("POST", path, "give a token for the repository", body=body, paced=False)
        try:
            made = await self._asked(wish)
        except DomainError:
            # It may have been installed anew, under another number.
            self._installations.pop(place.key, None)
            raise
        expires = made.expires_at if made.expires_at.tzinfo else made.expires_at.replace(tzinfo=UTC)
        return _Token(made.token, expires.timestamp(), installation.id)

    async def _asked(self, wish: Wish) -> InstallationToken:
        """Asking twice makes two tokens, of which one is used: that harms nobody."""
        try:
            return await self._account.send(wish, InstallationToken)
        except (Denied, NotFound) as error:
            await self._account.doubt(error)
            return await self._account.send(wish, InstallationToken)

    async def _installation(self, place: Place) -> Installation:
        found, until = self._installations.get(place.key, (None, 0.0))
        if found is not None and self._now() < until:
            return found
        try:
            found = await self._account.get(f"/repos/{place.path}/installation", "say where the App is installed", Installation)
        except NotFound:
            text = f"The GitHub App is not installed on {place.path}, or there is no such repository; install it there, then try again."
            raise NotFound(text, code="APP_NOT_INSTALLED") from None
        _bound(self._installations)
        self._installations[place.key] = found, self._now() + INSTALLATION_S
        return found

    def _rights(self, installation: Installation, place: Place) -> list[str]:
        """Raises Denied when the installation lacks what is needed whatever else is wanted."""
        granted, needed, extra = installation.permissions, self._options.rights.needed, self._options.rights.extra
        if granted is None:
            return [*needed, *extra]
        if missing := [each for each in needed if granted.get(each) != "write"]:
            text = (
                f"The GitHub App may not write {' and '.join(missing)} in {place.path}; allow it in the App's settings, then accept that."
            )
            raise Denied(text, code="APP_LACKS_RIGHTS", missing=[*missing])
        return [each for each in (*needed, *extra, *self._options.rights.offered) if granted.get(each) == "write"]


class AppCredential:
    """api.Credential by an App's installation."""

    def __init__(self, tokens: AppTokens, place: Place, installation: int | None = None) -> None:
        self._tokens = tokens
        self._place = place
        self._number = installation

    async def caller(self) -> Caller:
        return await self._tokens.get(self._place, self._number)

    def drop(self, caller: Caller) -> None:
        self._tokens.drop(caller.token)


class _Assertion:
    """api.Credential of the App itself; every call has its own."""

    def __init__(self, options: AppOptions, now: Callable[[], float]) -> None:
        self._options = options
        self._now = now

    async def caller(self) -> Caller:
        return Caller(f"app/{self._options.id}", app_assertion(self._options.id, self._options.key_pem, self._now()))

    def drop(self, caller: Caller) -> None:
        """The next one is another one anyway."""


def _bound(known: dict[str, object] | dict[str, _Token] | dict[str, tuple[Installation, float]]) -> None:
    if len(known) >= MOST_KNOWN:
        known.pop(next(iter(known)))
