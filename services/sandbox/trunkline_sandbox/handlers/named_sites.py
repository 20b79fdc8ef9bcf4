"""Which sites are still heard of: each says every minute that it is there, and what one keeps that says nothing for long is lost."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import structlog

from trunkline.bus import Memos, Raced
from trunkline.contracts.errors import DomainError
from trunkline.runtime.ids import new_id
from trunkline_sandbox.handlers.named_host import NamedHost

log = structlog.get_logger()

LOST_S: Final = 900.0
"""Longer than a machine takes to start anew."""
SPEAK_S: Final = 60.0
SPOKEN_WITHIN: Final = 20.0
TWICE: Final = "two machines have one data directory, or copies of it, and neither sees what the other one starts: end one of them"
LISTENED: Final = 64
"""Sites that are listened to though nothing that we know of is kept there any more: jobs may be released for them later."""
LOOK_S: Final = 90.0
"""What counts at most between two looks: while nobody could look, nobody could speak either."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """The sequence of a site's last word, and for how many seconds it was looked for in vain."""

    seq: int
    looked_at: float
    silent_s: float = 0.0


class Sites:
    """Silence is counted by whoever listens, from when it began to: nobody's clock is compared with another's."""

    def __init__(self, memos: Memos, hosts: Mapping[str, NamedHost], lost_s: float) -> None:
        self._memos = memos
        self._lost_s = lost_s
        self._heard: dict[str, _Heard] = {}
        self.here = frozenset(host.site for host in hosts.values() if host.site)
        self.given_up: Mapping[str, float] = {}
        """What `look` found last."""
        self.machine = socket.gethostname().encode()
        self._said: dict[str, int] = {}
        """The sequence of the last word of this service, by site."""
        self.spoke: set[str] = set()
        """Those of the others that were heard since this service began to listen: they are alive, and none of them is this one."""
        self.looked = asyncio.Event()

    async def run(self) -> None:
        """For ever: speak, however long a look at the sandboxes takes."""
        while True:
            try:
                async with asyncio.timeout(SPOKEN_WITHIN):
                    await self.speak()
            except (DomainError, TimeoutError) as error:  # the next word is as good
                log.warning("named.site_not_heard", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(SPEAK_S * random.uniform(0.8, 1.0))

    async def speak(self) -> None:
        """Say that the sites of this service are there. Raises Unavailable."""
        for site in self.here:
            memo = await self._memos.read(_memo(site))
            if memo and memo.body not in (b"", self.machine) and memo.seq > self._said.get(site, memo.seq):
                log.error("named.site_is_twice", site=site, other=memo.body.decode(errors="replace")[:100], remedy=TWICE)
            with suppress(Raced):  # another service of the site said so this moment
                self._said[site] = await self._memos.write(_memo(site), self.machine, {}, expect=memo.seq if memo else 0, id=new_id())

    async def look(self, sites: Iterable[str]) -> Mapping[str, float]:
        """Those of the others that are silent for too long, and for how many seconds. Raises Unavailable."""
        kept = {*sites} - self.here - {""}
        before = [site for site in self._heard if site not in kept][-LISTENED:]
        heard = {site: await self._listened(site) for site in (*before, *sorted(kept))}
        self._heard = heard
        self.given_up = {site: last.silent_s for site, last in heard.items() if last.silent_s >= self._lost_s}
        self.looked.set()
        return self.given_up

    async def _listened(self, site: str) -> _Heard:
        memo, now = await self._memos.read(_memo(site)), time.monotonic()
        seq, last = memo.seq if memo else 0, self._heard.get(site)
        if last is None:
            return _Heard(seq, now)
        if seq not in (0, last.seq):
            self.spoke.add(site)
            return _Heard(seq, now)
        # a word that is forgotten, a day after it was said, is no word
        return _Heard(last.seq, now, last.silent_s + min(now - last.looked_at, LOOK_S))


def _memo(site: str) -> str:
    return sha256(f"sandbox site {site}".encode()).hexdigest()
