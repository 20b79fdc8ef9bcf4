"""The providers of this service, and which ones others of the installation have: what only those can do is asked of them."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Final

import structlog

from trunkline.bus import Commands, Memos, Raced
from trunkline.bus.commands import Ping
from trunkline.contracts.errors import DomainError, Invalid, Unavailable
from trunkline.contracts.message import Accepted, Command
from trunkline.contracts.sandbox import LOCAL, service_at
from trunkline.runtime.ids import new_id
from trunkline_sandbox.handlers.named_host import NamedHost

log = structlog.get_logger()

ORDER: Final = (LOCAL, "daytona", "e2b")
"""Of several, the first that a service has which answers is where a sandbox is made whose caller names none."""
ANSWERS_WITHIN: Final = 0.2
SPEAK_S: Final = 60.0
SPOKEN_WITHIN: Final = 20.0
ASKED_WITHIN: Final = 5.0
"""Seconds that another service has for an answer; whoever asked us waits for ten."""


class Hosts:
    """Each service says every minute which providers it has: what it says is remembered for a day, and believed for `lost_s`."""

    def __init__(self, bus: tuple[Memos, Commands], here: Mapping[str, NamedHost], lost_s: float) -> None:
        self._memos, self._commands = bus
        self._here = here
        self._lost_s = lost_s

    def get(self, provider: str) -> NamedHost | None:
        """The one of this service."""
        return self._here.get(provider)

    async def run(self) -> None:
        """For ever: speak."""
        while True:
            try:
                async with asyncio.timeout(SPOKEN_WITHIN):
                    await self.speak()
            except (DomainError, TimeoutError) as error:  # the next word is as good
                log.warning("named.providers_not_said", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(SPEAK_S * random.uniform(0.8, 1.0))

    async def speak(self) -> None:
        """Say which providers this service has. Raises Unavailable."""
        for provider in self._here:
            memo = await self._memos.read(_memo(provider))
            with suppress(Raced):  # another service that has it said so this moment
                body = socket.gethostname().encode()
                await self._memos.write(_memo(provider), body, {}, expect=memo.seq if memo else 0, id=new_id())

    async def elsewhere(self, provider: str) -> bool:
        """Whether only other services have it. Raises Unavailable."""
        if provider in self._here:
            return False
        memo = await self._memos.read(_memo(provider))
        return memo is not None and await self._memos.age(memo) < self._lost_s

    async def usual(self, own: str) -> str:
        """Where one is made whose caller names no provider: whoever is asked says the same while the same services are there.

        Raises Unavailable.
        """
        for provider in ORDER[: ORDER.index(own)] if own in ORDER else ():
            # Both, for a word outlives who said it, and where nobody ever said it nobody has to be waited for.
            if await self.elsewhere(provider) and await self._commands.ping(service_at(provider), ANSWERS_WITHIN):
                return provider
        return own

    async def pong(self, _: Ping) -> Accepted:
        """This service has a provider that another one asks for."""
        return Accepted(seq=0)

    async def ask(self, provider: str, command: Command) -> Accepted:
        """The answer of a service that has it. Raises its refusal, Invalid NO_PROVIDER where none has, Unavailable where none answers."""
        if not await self._known(provider):
            there = sorted({*self._here, *[name for name in ORDER if await self._known(name)]})
            raise Invalid(f"there is no provider of that name here; there is {', '.join(there)}", code="NO_PROVIDER")
        try:
            return await self._commands.send(service_at(provider), "-", command, timeout=ASKED_WITHIN)
        except Unavailable as error:
            if error.code != "NO_OWNER":
                raise
            told = f"no service that has the provider {provider} answers; try again in a moment, or name another provider"
            raise Unavailable(told, code="NO_OWNER", provider=provider) from None

    async def _known(self, provider: str) -> bool:
        return provider in self._here or await self._memos.read(_memo(provider)) is not None


def _memo(provider: str) -> str:
    return sha256(f"sandbox provider {provider}".encode()).hexdigest()
