"""Which sites are still heard of: each says now and then that it is there, and what one keeps that says nothing for long is lost."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from trunkline.bus import Memo, Memos, Raced
from trunkline.contracts.errors import Broken, DomainError
from trunkline.runtime.ids import new_id
from trunkline_sandbox.handlers.named_host import NamedHost

log = structlog.get_logger()

LOST_S: Final = 900.0
"""Longer than a machine takes to start anew."""
SPEAK_S: Final = 20.0
SPOKEN_WITHIN: Final = 10.0
QUIET_S: Final = 30.0
"""Whoever is there has spoken again by then."""
LISTEN_S: Final = 0.5
_BOOT: Final = "/proc/sys/kernel/random/boot_id"
_PROCESSES: Final = "/proc/self/ns/pid"
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
        self.machine = machine()
        self._said: dict[str, int] = {}
        """The sequence of the last word of this service, by site."""
        self.spoke: set[str] = set()
        """Those of the others that were heard since this service began to listen: they are alive, and none of them is this one."""
        self.waited_for: set[str] = set()
        """Those that jobs wait for, though nothing may be kept there any more."""
        self.looked = asyncio.Event()

    async def start(self) -> None:
        """Returns when the sites of this service are its machine's alone. Raises Broken SITE_TWICE, Unavailable."""
        for site in self.here:
            await self._listen(site)
        await self.speak()

    async def _listen(self, site: str) -> None:
        """Whoever took a directory over from another machine waits until that one must be gone."""
        first = memo = await self._memos.read(_memo(site))
        while memo and not _same(memo.body, self.machine) and await self._memos.age(memo) < QUIET_S:
            if first and memo.seq != first.seq:
                raise _twice(site, memo)
            if memo is first:
                log.warning("named.site_listens", site=site, other=_read(memo), within_s=QUIET_S)
            await asyncio.sleep(LISTEN_S)
            memo = await self._memos.read(_memo(site))

    async def run(self) -> None:
        """For ever: speak, however long a look at the sandboxes takes. Raises Broken when another machine speaks for a site of this one."""
        while True:
            try:
                async with asyncio.timeout(SPOKEN_WITHIN):
                    await self.speak()
            except Broken:
                raise
            except (DomainError, TimeoutError) as error:  # the next word is as good
                log.warning("named.site_not_heard", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(SPEAK_S * random.uniform(0.8, 1.0))

    async def speak(self) -> None:
        """Say that the sites of this service are there. Raises Broken SITE_TWICE, Unavailable."""
        for site in self.here:
            memo = await self._memos.read(_memo(site))
            if memo and not _same(memo.body, self.machine) and memo.seq > self._said.get(site, memo.seq):
                raise _twice(site, memo)  # the first of two that hears of the other ends
            with suppress(Raced):  # another service of the site said so this moment
                self._said[site] = await self._memos.write(_memo(site), self.machine, {}, expect=memo.seq if memo else 0, id=new_id())

    async def look(self, sites: Iterable[str]) -> Mapping[str, float]:
        """Those of the others that are silent for too long, and for how many seconds. Raises Unavailable."""
        kept = ({*sites} | self.waited_for) - self.here - {""}
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


def machine() -> bytes:
    """Names what sees all processes that are started here: the machine, or the container in it."""
    boot = processes = "-"
    with suppress(OSError):
        boot, processes = Path(_BOOT).read_text().strip(), os.readlink(_PROCESSES)
    return f"{socket.gethostname()} {boot} {processes}".encode()


def _same(word: bytes, machine: bytes) -> bool:
    """Whether one machine said both. One whose name changed is the same, and so is a container that was started again."""
    (host, *there), (name, *here) = word.decode(errors="replace").split(" "), machine.decode().split(" ")
    return not word or (host == name and there[:1] in ([], here[:1])) or (len(there) == 2 and there == here and "-" not in here)


def _read(memo: Memo) -> str:
    return memo.body.decode(errors="replace").split(" ")[0][:100]


def _twice(site: str, memo: Memo) -> Broken:
    told = f"the machine {_read(memo)} has the same data directory, or a copy of it, and runs a service on it (site {site})"
    return Broken(f"{told}; neither would see what the other one starts: end one of them, and then start the other", code="SITE_TWICE")


def _memo(site: str) -> str:
    return sha256(f"sandbox site {site}".encode()).hexdigest()
