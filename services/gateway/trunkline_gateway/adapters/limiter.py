"""Counts callers on the bus; what this process knows by itself stands in while nats-server does not answer."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

import structlog

from trunkline.bus import BusAway, Limits, Refused, Rule, key_of
from trunkline.bus.limits import EXPIRY_LAG
from trunkline.contracts.errors import Unavailable
from trunkline_gateway.adapters.admission import Admission, Place, left, places
from trunkline_gateway.adapters.counted import Known, Looked, Open, quota, refused, tightest
from trunkline_gateway.ports import Counted, Quota
from trunkline_gateway.prefilter import Network, Prefilter, caller, is_loopback
from trunkline_gateway.settings import FAILURES, Settings
from trunkline_gateway.windows import Closed, Windows

log = structlog.get_logger()

T = TypeVar("T")

REFUSES_WITHIN: Final = 0.5
"""Seconds that a refusal waits to know how long it lasts."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where requests come from, and what is taken from one place."""

    trusted: tuple[Network, ...] = ()
    prefilter: Prefilter | None = None

    def caller(self, peer: str, forwarded: Sequence[str]) -> str:
        return caller(peer, forwarded, self.trusted) if self.trusted else _peer(peer)

    def screen(self, address: str) -> float:
        """Never from loopback: that is a proxy which was not told to us, or whoever runs the machine."""
        if self.prefilter is None or is_loopback(address):
            return 0.0
        return self.prefilter.wait(address, time.monotonic())


@lru_cache(4096)
def _peer(peer: str) -> str:
    """As `caller`, where no proxy is trusted: then nothing else counts."""
    return caller(peer, (), ())


class BusLimiter:
    """Every limit, over all gateways."""

    def __init__(self, limits: Limits, rules: Mapping[str, tuple[Rule, ...]], source: Source, gateways: int = 1) -> None:
        self._limits = limits
        self._rules = rules
        self._source = source
        self._gateways = gateways
        self._windows = Windows()
        self._admission = Admission(limits, self._windows)
        self._full = Closed()
        self._guessers = Closed()
        self._away = False
        self.names = frozenset(rules)
        self.caller = source.caller
        self.screen = source.screen

    def guessing(self, address: str) -> float:
        return self._guessers.wait(address, time.monotonic())

    async def failed(self, address: str) -> Counted | None:
        counted = await self.count(FAILURES, f"@{address}", write=False)
        if counted and counted.retry_after is not None and not is_loopback(address):
            self._guessers.note(address, time.monotonic() + counted.retry_after)
        return counted

    async def count(self, name: str, caller: str, *, write: bool) -> Counted | None:
        key = key_of(name, caller)
        try:
            counted = await self._on_the_bus(self._rules[name], key)
        except BusAway:
            self._tell(away=True)
            if write:
                raise _unavailable() from None
            return self._alone(self._rules[name], key)
        self._tell(away=False)
        return counted

    async def admit(self, name: str, callers: Sequence[str], *, id: str = "") -> Counted | None:
        return await self._sure(self._admission.admit(self._places(name, callers), id))

    async def standing(self, name: str, callers: Sequence[str]) -> Mapping[int, Quota]:
        return left(await self._sure(self._admission.standing(self._places(name, callers))))

    async def give_back(self, counted: Counted) -> None:
        await self._admission.give_back(counted)

    def _places(self, name: str, callers: Sequence[str]) -> Sequence[Place]:
        return places(self._rules[name], [key_of(name, caller) for caller in callers])

    async def _sure(self, answer: Awaitable[T]) -> T:
        """Raises Unavailable: nobody is let in by guess."""
        try:
            found = await answer
        except BusAway:
            self._tell(away=True)
            raise _unavailable() from None
        self._tell(away=False)
        return found

    async def _on_the_bus(self, rules: Sequence[Rule], key: str) -> Counted:
        looks: list[Looked] = []
        for rule in rules:
            if (wait := self._full.wait(f"{rule.stream}.{key}", time.monotonic())) > 0:
                return refused(rule.limit, wait + EXPIRY_LAG)
            verdict = await self._limits.hit(rule, key)
            looked = Looked(rule, f"{rule.stream}.{key}", self._windows, await self._limits.look(rule, key))
            if isinstance(verdict, Refused):
                return await self._refusal(looked)
            self._windows.note(looked.name, rule.window_s, time.monotonic())
            looks.append(looked)
        return Open(looks)

    async def _refusal(self, looked: Looked) -> Counted:
        """Until the oldest hit leaves, nobody need be asked again: a flood that is refused costs nobody but us."""
        window = await looked.look.window(REFUSES_WITHIN)
        if window is None:
            return refused(looked.rule.limit, looked.seen()[1])
        self._full.note(looked.name, time.monotonic() + window.frees_in - EXPIRY_LAG)
        return refused(looked.rule.limit, window.frees_in)

    def _alone(self, rules: Sequence[Rule], key: str) -> Counted:
        """By what this gateway saw, its share of the limit."""
        now = time.monotonic()
        quotas = []
        for rule in rules:
            name, share = f"{rule.stream}.{key}", max(1, rule.limit // self._gateways)
            admitted = self._windows.admit(name, share, rule.window_s, now)
            count, frees_in = self._windows.seen(name, rule.window_s, now)
            quotas.append(quota(share, share - count, frees_in))
            if not admitted:
                return refused(share, frees_in)
        return Known(tightest(quotas))

    def _tell(self, *, away: bool) -> None:
        if away != self._away:
            self._away = away
            log.warning("limits.away" if away else "limits.back")


class Unlimited:
    """Counts nobody; whatever a route names is a limit."""

    def __init__(self, names: frozenset[str], source: Source | None = None) -> None:
        source = source or Source()
        self.names = names
        self.caller = source.caller

    def screen(self, address: str) -> float:
        return 0.0

    def guessing(self, address: str) -> float:
        return 0.0

    async def failed(self, address: str) -> Counted | None:
        return None

    async def count(self, name: str, caller: str, *, write: bool) -> Counted | None:
        return None

    async def admit(self, name: str, callers: Sequence[str], *, id: str = "") -> Counted | None:
        return None

    async def give_back(self, counted: Counted) -> None:
        return

    async def standing(self, name: str, callers: Sequence[str]) -> Mapping[int, Quota]:
        return {}


async def limiter(limits: Limits, settings: Settings) -> BusLimiter | Unlimited:
    """As configured, its streams made sure of. Raises BusAway."""
    rules = settings.rules()
    trusted = tuple(ipaddress.ip_network(each, strict=False) for each in settings.trusted_proxies)
    if settings.rate_limits == "off":
        return Unlimited(frozenset(rules), Source(trusted))
    await limits.ensure(rule for each in rules.values() for rule in each)
    rate = settings.prefilter_per_s
    prefilter = Prefilter(rate, math.ceil(2 * rate)) if rate else None
    return BusLimiter(limits, rules, Source(trusted, prefilter), settings.gateway_replicas)


def _unavailable() -> Unavailable:
    message = "nats-server counts the limits and does not answer, so nothing can be let in; try again in a moment"
    return Unavailable(message, code="LIMITS_AWAY")
