"""Carries out at the provider what a named sandbox wants: one effect after the other, each tried some times, none that is stale."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from weakref import WeakValueDictionary

import structlog

from trunkline.contracts.errors import Denied, DomainError, Invalid, NotFound, Unavailable, Unsupported
from trunkline.contracts.ids import SandboxId
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.image_host import IMAGE, IMAGE_GONE
from trunkline_sandbox.handlers.images import NONE, Images
from trunkline_sandbox.handlers.named_book import Book, Key
from trunkline_sandbox.handlers.named_host import NAMED, NamedHost, Seen, acts_on
from trunkline_sandbox.handlers.named_hosts import Hosts
from trunkline_sandbox.model.limits import Span
from trunkline_sandbox.model.named import Effect, Named, next_effect
from trunkline_sandbox.model.named_cues import Claim, Done, Failed, Made
from trunkline_sandbox.ports import Limits, SandboxSpec

log = structlog.get_logger()

ROUNDS: Final = 8
"""Effects in a row; whoever wants a sandbox started and stopped faster than that waits for the next look."""
MIB: Final = 1 << 20
LONGEST_JOB_S: Final = 7 * 86400.0
"""What a start in it lasts at most; the router ends a job at its own deadline, which is never later."""
_FINAL: Final = (Invalid, Unsupported, Denied, NotFound)
"""What no further try makes better."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a provider is waited for, in seconds, and how often it is asked."""

    make_s: float = 180.0
    start_s: float = 60.0
    stop_s: float = 60.0
    tries: int = 4
    pause_s: float = 0.5
    poll_s: float = 0.5
    orphaned_s: float = 10.0
    """After the end of a build, for whoever left a sandbox waiting for it to go on; then another replica does."""

    def of(self, effect: Effect) -> float:
        return {Effect.MAKE: self.make_s, Effect.START: self.start_s}.get(effect, self.stop_s)


class Carry:
    def __init__(self, book: Book, hosts: Hosts, now: Callable[[], datetime], waits: Waits, images: Images | None = None) -> None:
        self._book = book
        self._hosts = hosts
        self._now = now
        self._waits = waits
        self._images = images
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self.waiting: set[Key] = set()
        """Those that this replica left, or is about to leave, because their image is not there yet; `image_ends` goes on with them."""

    async def drive(self, key: Key) -> None:
        """Until nothing is wanted, or its provider does not do it; only where it can be reached. Raises Unavailable: the bus is away."""
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            self.waiting.discard(key)
            for _ in range(ROUNDS):
                named = await self._book.look(key)
                effect = next_effect(named) if named else None
                if named is None or effect is None or not acts_on(self._hosts.get(named.wanted.provider), named):
                    return
                if await self._hosts.elsewhere(named.wanted.provider):
                    return
                if not await self._further(key, named, effect):
                    return

    async def passes_on(self, key: Key) -> bool:
        """Whether something is to be done to it that only services with another provider can. Raises Unavailable."""
        named = await self._book.look(key)
        wants = named is not None and next_effect(named) is not None and not named.site  # those of its site hear of it anyway
        return wants and named is not None and await self._hosts.elsewhere(named.wanted.provider)

    async def claim(self, key: Key) -> None:
        """Of one that takes long to make: it is made at this site from now on, unless another one said so before."""
        named = await self._book.look(key)
        host = self._hosts.get(named.wanted.provider) if named else None
        if named and host and host.site and not named.site and next_effect(named) is Effect.MAKE:
            await self._book.receive(key, Claim(host.site), self._now(), Effect.MAKE)

    def in_hand(self, key: Key) -> bool:
        """Whether this replica goes on with it by itself."""
        turn = self._turns.get(key)
        return key in self.waiting or (turn is not None and turn.locked())

    async def _further(self, key: Key, named: Named, effect: Effect) -> bool:
        """Whether the sandbox came further. Raises Unavailable when the bus is away."""
        try:
            image = await self._begins_with(key, named.wanted.provider) if effect is Effect.MAKE else NONE
        except Unavailable:
            raise
        except DomainError as error:
            return await self._broke(key, effect, error)
        if image is None:
            return False
        try:
            async with asyncio.timeout(self._waits.of(effect)):
                await self._tried(key, named, effect, image)
        except Exception as error:  # whatever a provider does wrong is a fact of its sandbox, not the end of the service
            if self._images and isinstance(error, DomainError) and error.code == IMAGE_GONE:
                await self._images.lost(named.wanted.provider, image)
            return await self._broke(key, effect, error)
        if effect is Effect.CLEAN:
            return False
        await self._book.receive(key, Done(effect, at := self._now()), at, effect)
        faultpoint(f"named.{effect}.after_record")
        return True

    async def _begins_with(self, key: Key, provider: str) -> str | None:
        """None: its image is being built. It waits before that is looked at, so that no end of a build is missed."""
        if self._images is None:
            return NONE
        self.waiting.add(key)
        image = await self._images.ready(provider)
        if image is not None:
            self.waiting.discard(key)
        return image

    async def _broke(self, key: Key, effect: Effect, error: Exception) -> bool:
        log.warning("named.effect_failed", sandbox=key.id, effect=effect, error=f"{type(error).__name__}: {error}")
        failed = self._failure(effect, error)
        if failed is None:
            return False  # the next look asks again
        await self._book.receive(key, failed, failed.at, effect)
        return True

    async def _tried(self, key: Key, named: Named, effect: Effect, image: str) -> None:
        host = self._host(named.wanted.provider)
        for attempt in range(self._waits.tries):
            try:
                return await self._do(host, key, (named, image), effect)
            except _FINAL:
                raise
            except Exception as error:  # a provider may fail in any way; the last try tells
                if attempt + 1 == self._waits.tries:
                    raise
                log.info("named.effect_again", sandbox=key.id, effect=effect, error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._waits.pause_s * 2**attempt * random.uniform(0.5, 1.5))
            now = await self._book.look(key)
            if now is None or next_effect(now) is not effect:
                return None
        return None

    def _host(self, provider: str) -> NamedHost:
        host = self._hosts.get(provider)
        if host is None:
            raise Unsupported(f"the provider {provider} is not configured any more; configure it, or delete it there", code="NO_PROVIDER")
        return host

    async def _do(self, host: NamedHost, key: Key, wish: tuple[Named, str], effect: Effect) -> None:
        match effect:
            case Effect.MAKE:
                await self._make(host, key, spec_of(key, *wish))
            case Effect.START:
                await host.rouse(key.id)
                await self._ready(host, key.id)
            case Effect.STOP:
                await host.rest(key.id)
            case Effect.DELETE | Effect.CLEAN:
                await host.remove(key.id)
                if await host.look(key.id):
                    raise Unavailable("the provider still has it after it was asked to remove it", code="SANDBOX_NOT_REMOVED")

    async def _make(self, host: NamedHost, key: Key, spec: SandboxSpec) -> None:
        faultpoint("named.make.before_effect")
        sandbox = await host.ensure(spec)
        faultpoint("named.make.after_effect")
        seen = await host.look(key.id)
        if seen is None:
            raise Unavailable("the provider has no such sandbox right after making it", code="SANDBOX_VANISHED")
        made = Made(seen.ref, sandbox.isolation, seen.labels.get(IMAGE, NONE), ready=seen.state == "ready", site=host.site)
        await self._book.receive(key, made, self._now(), Effect.MAKE)
        faultpoint("named.make.made")
        if seen.state != "ready":
            await self._ready(host, key.id)

    async def _ready(self, host: NamedHost, id: SandboxId) -> Seen:
        """For as long as its deadline lets it. Raises NotFound when it is gone, Unavailable when it fails."""
        while True:
            seen = await host.look(id)
            if seen is None:
                raise NotFound("the provider has it no more", code="SANDBOX_VANISHED")
            if seen.state == "error":
                raise Unavailable("the provider says that it is in error", code="SANDBOX_ERROR")
            if seen.state == "ready":
                return seen
            await asyncio.sleep(self._waits.poll_s * random.uniform(0.8, 1.2))

    def _failure(self, effect: Effect, error: Exception) -> Failed | None:
        """None for what is only put off: a sandbox that is to go stays wanted away until it is."""
        gone = isinstance(error, NotFound)
        if effect in (Effect.DELETE, Effect.CLEAN) or (effect is Effect.STOP and not gone):
            return None
        said = self._said(effect, error)
        if gone:
            said = NotFound(said.message, code="SANDBOX_VANISHED")
        elif effect is Effect.START and not (isinstance(error, DomainError) and error.code == "SANDBOX_ERROR"):  # its provider's own word
            said = Unavailable(said.message, code="SANDBOX_RESTART_FAILED")
        return Failed(effect, self._now(), said.code, said.message)

    def _said(self, effect: Effect, error: Exception) -> DomainError:
        """Of a defect, or of an SDK's own error, no more than its name: its text may hold anything."""
        if isinstance(error, TimeoutError):
            return Unavailable(f"the provider did not do it within {self._waits.of(effect):g} s", code="PROVIDER_TIMEOUT")
        return (
            error if isinstance(error, DomainError) else Unavailable(f"the provider failed: {type(error).__name__}", code="SANDBOX_ERROR")
        )


def spec_of(key: Key, named: Named, image: str = NONE) -> SandboxSpec:
    """The same whenever it is made, but for the image that it begins with: the first one that is found counts."""
    terms, usual = named.wanted.terms, Limits()
    limits = replace(
        usual, cpus=terms.cpus, memory=terms.memory_mb * MIB or usual.memory, disk=terms.disk_mb * MIB or usual.disk, wall=LONGEST_JOB_S
    )
    labels = {"tenant": key.tenant, NAMED: key.id, **({IMAGE: image} if image else {})}
    return SandboxSpec(key.id, limits, labels, terms.egress or (), Span(terms.ttl_s, terms.idle_s or 0))
