"""What a request passes before its handler: who asks, how often, whether it may, and whether it was answered before."""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web
from multidict import istr
from pydantic import SecretStr

from trunkline.auth.policy import Action, who_may
from trunkline.auth.principal import Principal, Role, Tier
from trunkline.contracts.errors import Denied, DomainError, Exhausted, Invalid, NotFound, Unauthenticated, Unavailable
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import ADDRESS, IDS, PARTS, Dialect, Ids, Route, Visitors
from trunkline_gateway.dressing import VISIT
from trunkline_gateway.ports import Claim, Counted, Kept, Limiter, Memory
from trunkline_gateway.refusals import Answering, spoken
from trunkline_gateway.sse import STANDS

Identify = Callable[[web.Request, bool], Principal]
"""Who asks; with True a credential that is not valid is refused (Unauthenticated), else it counts as none."""

_SHOWN: Final = web.RequestKey("shown", SecretStr)
"""The token that a visitor is known by."""
_DOUBT: Final = web.RequestKey("doubt", Unavailable)
"""Why nobody can say who it is; meanwhile it counts as a stranger."""
KEY: Final = istr("Idempotency-Key")
API_KEY: Final = istr("X-API-Key")
REPLAYED: Final = "Idempotency-Replayed"
BESIDE: Final = ("X-GitHub-Token",)
"""Headers that are part of what is asked for, as the body is."""
KEPT_AT_MOST: Final = 512 << 10
"""Bytes of an answer; none of ours comes near."""
NOTHING_DONE: Final = frozenset({401, 403, 408, 413, 415, 429})
"""Refusals that say that nothing was begun: the key is free again, also for another body."""
_NEW_IDS: Final = Ids()
"""Of every request that nobody named: each that it is asked for is new."""
_VISIBLE: Final = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The same for every route of every dialect."""

    identify: Identify
    limiter: Limiter
    memory: Memory
    body: BodyReader

    def guarded(self, route: Route, dialect: Dialect) -> Answering:
        """The route's handler behind everything that comes before it."""

        remembers, allowed = route.remembers, who_may(route.rule)

        async def answer(request: web.Request) -> web.StreamResponse:
            principal = await self._identified(request, dialect, route.rule)
            request[VISIT].span.belongs(principal.tenant, principal.subject, route.path)
            if route.limit and principal.tier is not Tier.OPERATOR:
                who = _who(principal, request)
                _let_in(request, await self.limiter.count(route.limit, who, write=request.method not in ("GET", "HEAD")))
            if principal.role not in allowed:
                raise _not_allowed(principal, route.rule)
            request[IDS] = _NEW_IDS
            if route.streams and principal.role is not Role.ANONYMOUS:
                request[STANDS] = self._standing(request, principal, dialect)
            if remembers and KEY in request.headers:
                return await self._once(request, principal, route, dialect)
            if principal.role is Role.ANONYMOUS and _DOUBT in iter(request):
                return await _doubted(request, principal, route)
            return await route.handler(request, principal)

        return answer

    def screen(self, request: web.Request) -> None:
        """Before anything is read of it. Raises Exhausted."""
        address = self.limiter.caller(request.remote or "", request.headers.getall(hdrs.X_FORWARDED_FOR, ()))
        request[ADDRESS] = address
        if wait := self.limiter.screen(address):
            raise exhausted(math.ceil(wait))

    async def _identified(self, request: web.Request, dialect: Dialect, rule: Action) -> Principal:
        address = request[ADDRESS]
        beside = dialect.strict and rule is not Action.LOOK_AROUND  # a secret may be shown elsewhere than in these headers
        if (wait := self.limiter.guessing(address)) and (beside or _shows(request)):
            raise exhausted(math.ceil(wait))
        try:
            principal = self.identify(request, dialect.strict)
            if dialect.visitors is None or principal.role is not Role.ANONYMOUS:
                return principal
            return await self._visitor(request, dialect.visitors, rule) or principal
        except Unauthenticated:
            counted = await self.limiter.failed(address)
            if counted and counted.retry_after is not None:
                _let_in(request, counted)
            raise

    async def _visitor(self, request: web.Request, visitors: Visitors, rule: Action) -> Principal | None:
        """While nobody can say who it is, what strangers may see is shown all the same. Raises what `visitors` raises, and Exhausted."""
        token = await visitors.token(request)
        if token is None:
            return None
        if wait := self.limiter.guessing(request[ADDRESS]):
            raise exhausted(math.ceil(wait))
        try:
            known = await visitors.who(token)
        except Unavailable as away:
            if request.method not in ("GET", "HEAD") or not (request[PARTS] or rule is Action.LOOK_AROUND):
                raise
            request[_DOUBT] = away
            return None
        request[_SHOWN] = token
        return known

    def _standing(self, request: web.Request, principal: Principal, dialect: Dialect) -> Callable[[], bool]:
        token, visitors = request.get(_SHOWN), dialect.visitors
        if token is None or visitors is None:
            return lambda: self._stands(request, principal, dialect)
        return lambda: visitors.stands(token, principal)

    def _stands(self, request: web.Request, principal: Principal, dialect: Dialect) -> bool:
        try:
            return self.identify(request, dialect.strict) == principal
        except DomainError:
            return False

    async def _once(self, request: web.Request, principal: Principal, route: Route, dialect: Dialect) -> web.StreamResponse:
        """The stored answer, or the handler's, which is then stored. Raises Invalid, Unsupported, Conflict or Unavailable."""
        name = _name(request, principal)
        match await self.memory.claim(name, _digest(await self.body.raw(request), request)):
            case Kept() as kept:
                headers = {"Content-Type": kept.type, REPLAYED: "true"}
                return web.Response(body=kept.body, status=kept.status, headers=headers)
            case Claim() as claim:
                request[IDS] = Ids(claim.seed)
                return await self._claimed(claim, request, (route, principal), dialect)

    async def _claimed(self, claim: Claim, request: web.Request, asked: tuple[Route, Principal], dialect: Dialect) -> web.StreamResponse:
        route, principal = asked
        try:
            response = await spoken(request, lambda again: route.handler(again, principal), dialect)
        except asyncio.CancelledError:
            await self.memory.reopen(claim)
            raise
        if response.status in NOTHING_DONE:
            await self.memory.forget(claim)
        elif not (route.secret and response.status < 300) and (kept := _kept(response)):
            await self.memory.keep(claim, kept)
        else:
            await self.memory.reopen(claim)
        return response


async def _doubted(request: web.Request, principal: Principal, route: Route) -> web.StreamResponse:
    """What a stranger does not find may be there for whoever it is. Raises Unavailable for that."""
    try:
        return await route.handler(request, principal)
    except NotFound:
        raise request[_DOUBT] from None


def exhausted(seconds: int) -> Exhausted:
    message = f"Rate limit exceeded. Try again in {seconds} second{'' if seconds == 1 else 's'}."
    return Exhausted(message, code="RATE_LIMITED", retry_after=seconds)


def _let_in(request: web.Request, counted: Counted | None) -> None:
    if counted is None:
        return
    request[VISIT].counted = counted
    if counted.retry_after is not None:
        raise exhausted(counted.retry_after)


def _not_allowed(principal: Principal, rule: Action) -> DomainError:
    if principal.role is Role.ANONYMOUS:
        return Unauthenticated("this needs a credential: send a token as Authorization: Bearer TOKEN, or an API key", code="AUTH_REQUIRED")
    return Denied(f"the role {principal.role} does not allow {rule}; show a credential of the role {' or '.join(who_may(rule))}")


def _shows(request: web.Request) -> bool:
    """Whether anything is shown at all. Whoever guessed too often is not told of a hit, on no surface."""
    return bool(request.headers.get(hdrs.AUTHORIZATION) or request.headers.get(API_KEY))


def _who(principal: Principal, request: web.Request) -> str:
    """Strangers are told apart by where they come from, for want of anything better."""
    if principal.role is Role.ANONYMOUS:
        return f"@{request[ADDRESS]}"
    return f"{principal.tenant}/{principal.subject}"


def _name(request: web.Request, principal: Principal) -> str:
    """Of this request and its repeats, whatever else asks. Raises Invalid."""
    keys = request.headers.getall(KEY)
    if len(keys) != 1 or not _VISIBLE.fullmatch(keys[0]):
        message = f"{KEY} must be given once, as 1 to 255 visible ASCII characters without spaces"
        raise Invalid(message, code="INVALID_IDEMPOTENCY_KEY")
    parts = (principal.tenant, principal.role is Role.ANONYMOUS, _who(principal, request), request.method, request.path_qs, keys[0])
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _digest(body: bytes, request: web.Request) -> str:
    """Of all that is asked for."""
    digest = hashlib.sha256(body)
    for name in BESIDE:
        for value in request.headers.getall(name, ()):
            digest.update(f"\0{name}:{value}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _kept(response: web.StreamResponse) -> Kept | None:
    """Nothing of what cannot be kept, or must not: what a defect or an absence answered may go better the next time."""
    if response.status >= 499 or not isinstance(response, web.Response):
        return None
    body = response.body or b""
    if not isinstance(body, bytes) or len(body) > KEPT_AT_MOST:
        return None
    return Kept(response.status, body, response.headers.get("Content-Type", "application/octet-stream"))
