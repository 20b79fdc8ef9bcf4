"""Which sites are still heard of: each says every minute that it is there, and what one keeps that says nothing for long is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from trunkline.bus import Memos, Raced
from trunkline.runtime.ids import new_id
from trunkline_sandbox.handlers.named_host import NamedHost

LOST_S: Final = 900.0
"""Longer than a machine takes to start anew."""
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
        self.looked = asyncio.Event()

    async def speak(self) -> None:
        """Say that the sites of this service are there. Raises Unavailable."""
        for site in self.here:
            memo = await self._memos.read(_memo(site))
            with suppress(Raced):  # another service of the site said so this moment
                await self._memos.write(_memo(site), b"", {}, expect=memo.seq if memo else 0, id=new_id())

    async def look(self, sites: Iterable[str]) -> Mapping[str, float]:
        """Those of the others that are silent for too long, and for how many seconds. Raises Unavailable."""
        heard = {site: await self._listened(site) for site in {*sites} - self.here - {""}}
        self._heard = heard
        self.given_up = {site: last.silent_s for site, last in heard.items() if last.silent_s >= self._lost_s}
        self.looked.set()
        return self.given_up

    async def _listened(self, site: str) -> _Heard:
        memo, now = await self._memos.read(_memo(site)), time.monotonic()
        seq, last = memo.seq if memo else 0, self._heard.get(site)
        if last is None or seq != last.seq:
            return _Heard(seq, now)
        return _Heard(seq, now, last.silent_s + min(now - last.looked_at, LOOK_S))


def _memo(site: str) -> str:
    return sha256(f"sandbox site {site}".encode()).hexdigest()
