"""Tells who asks from the credential of a request, and builds everything about identity from the settings."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from aiohttp import hdrs, web
from multidict import istr

from trunkline.auth.claims import BAD_TOKEN, Terms, Token, strong
from trunkline.auth.keys import OPERATOR, Entry, KeyRing, entries
from trunkline.auth.principal import ANONYMOUS, Principal
from trunkline.auth.tokens import Secrets, Tokens, key_set
from trunkline.contracts.errors import Invalid, Unauthenticated
from trunkline.telemetry import logs
from trunkline_gateway.ports import Roll
from trunkline_gateway.settings import Settings
from trunkline_gateway.usecases.desk import Desk

log = structlog.get_logger()

API_KEY: Final = istr("X-API-Key")
LARGEST_FILE: Final = 1 << 20
OVER: Final = frozenset({"TOKEN_EXPIRED", "TOKEN_REVOKED"})
"""Refusals of what was ours without a doubt: whoever shows it means to be somebody, and does not want to work as a stranger."""


class Identity(NamedTuple):
    """Both halves: who asks, and who gets which token."""

    credentials: Credentials
    desk: Desk


class Credentials:
    """A bearer token wins over an API key. What was shown is never logged, and never in what is raised."""

    def __init__(self, tokens: Tokens, keys: KeyRing, operator: KeyRing, roll: Roll) -> None:
        """`keys`: every key, the operator's too, which may be shown as a bearer besides."""
        self._tokens = tokens
        self._keys = keys
        self._operator = operator
        self._roll = roll

    def identify(self, request: web.Request, strict: bool) -> Principal:
        """The caller; ANONYMOUS when nothing is shown, and where not `strict` also when it is nothing of ours.

        Raises Invalid (AMBIGUOUS_CREDENTIALS), Unauthenticated (TOKEN_EXPIRED, TOKEN_REVOKED; when `strict` also BAD_TOKEN, BAD_API_KEY).
        """
        headers = request.headers
        bearer, key = headers.getall(hdrs.AUTHORIZATION, ()), headers.getall(API_KEY, ())
        if len(bearer) > 1 or len(key) > 1:
            raise Invalid("one request shows one credential of a kind; this one shows two", code="AMBIGUOUS_CREDENTIALS")
        if strict:
            return self._bearer(bearer[0]) if bearer else self._key(key[0]) if key else ANONYMOUS
        return self._if_ours(self._bearer, bearer) or self._if_ours(self._key, key) or ANONYMOUS

    def holder(self, text: str) -> Principal:
        """Whose this bearer is, which may be an API key too: clients of some surfaces know no other way to show one.

        Raises Unauthenticated.
        """
        try:
            return self._bearer(f"Bearer {text}")
        except Unauthenticated as error:
            if error.code in OVER:
                raise
            return self._key(text)

    def proof(self, text: str) -> tuple[Principal, Token | None]:
        """Whose a token or an API key is, and the token where it is one. Raises Unauthenticated."""
        try:
            token = self._tokens.verify(text)
        except Unauthenticated as error:
            if error.code in OVER:
                raise
            return self._key(text), None
        return self._standing(token), token

    def key(self, text: str) -> Token | None:
        """A key as the roll knows it, which says whether it was revoked. Nobody's: None."""
        return self._keys.find(text)

    def _standing(self, token: Token, what: str = "token") -> Principal:
        if self._roll.revoked(token):
            raise Unauthenticated(f"the {what} was revoked; ask for a new one", code="TOKEN_REVOKED")
        return token.principal

    def _if_ours(self, read: Callable[[str], Principal], shown: tuple[str, ...] | list[str]) -> Principal | None:
        """On a surface where a bearer may be for somebody else, what is not ours is no credential of ours: whether it is one of somebody
        whom the surface knows, its visitors say."""
        try:
            return read(shown[0]) if shown else None
        except Unauthenticated as error:
            if error.code in OVER:
                raise
            return None

    def _bearer(self, header: str) -> Principal:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise Unauthenticated("the Authorization header is not `Bearer <token>`", code=BAD_TOKEN)
        if "." not in text and (operator := self._operator.find(text)):
            return self._standing(operator, "key")
        return self._standing(self._tokens.verify(text))

    def _key(self, text: str) -> Principal:
        found = self._keys.find(text)
        if found is None:
            raise Unauthenticated("this API key is not one of ours", code="BAD_API_KEY")
        return self._standing(found, "API key")


def identity(
    settings: Settings, roll: Roll, now: Callable[[], datetime], clock: Callable[[], float] = time.time, *, seal: bytes = b""
) -> Identity:
    """Reads the files that the settings name; `seal` is that of the log. Raises Invalid with what is amiss, and never with a secret."""
    tokens = tokens_of(settings, clock)
    operators, keys = operators_of(settings), keys_of(settings)
    if settings.dev:
        log.warning("gateway.dev", why="anybody on this machine gets any token")
    ring = KeyRing((*operators, *keys), seal)
    return Identity(Credentials(tokens, ring, KeyRing(operators, seal), roll), Desk(tokens, roll, now, settings.dev, ring))


def keys_of(settings: Settings) -> tuple[Entry, ...]:
    """Every API key of the settings. Raises Invalid."""
    return entries({name: key.get_secret_value() for name, key in settings.api_keys.items()}, short=settings.dev)


def operators_of(settings: Settings) -> tuple[Entry, ...]:
    """The operator's key, where there is one. Raises Invalid."""
    file = settings.operator_key_file
    return (Entry(operator_key(file), OPERATOR),) if file else ()


def tokens_of(settings: Settings, clock: Callable[[], float] = time.time) -> Tokens:
    """As `identity`, for whoever only mints and verifies."""
    public = key_set(_file(settings.jwks_file, "jwks_file")) if settings.jwks_file else {}
    terms = Terms(settings.token_lifetime_s, settings.token_audience, settings.token_issuer)
    return Tokens(_secrets(settings), public, terms, clock)


def _secrets(settings: Settings) -> Secrets:
    current, previous = settings.jwt_secret.get_secret_value(), settings.jwt_secret_previous.get_secret_value()
    if not current and settings.jwt_secret_file:
        current = _file(settings.jwt_secret_file, "jwt_secret_file").strip()
        logs.shield(("jwt_secret", current))
    if not current and settings.dev:
        current = secrets.token_urlsafe(32)
    until = settings.jwt_previous_until.timestamp() if settings.jwt_previous_until else math.inf
    return Secrets(strong(current) if current else b"", strong(previous) if previous else b"", until)


def operator_key(path: Path) -> str:
    """Raises Invalid."""
    key = _file(path, "operator_key_file").strip()
    if len(key) < 32 or not key.isascii():
        raise Invalid(f"{path} does not hold an operator's key; remove it, and `trunkline up` makes another", code="BAD_API_KEY")
    logs.shield(("operator_key", key))
    return key


def _file(path: Path, setting: str) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(LARGEST_FILE)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise Invalid(f"the file {path} of the setting {setting} cannot be read ({why})", code="NO_KEY_FILE") from None
