"""Clients of a fleet: tasks at a steady pace through all gateways, each asked for until it is taken and followed until it ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import aiohttp

from tests import campaigns

LAST = ("result", "error")
AWAY = (aiohttp.ClientError, OSError, TimeoutError)
TAKEN_WITHIN = 45.0
CLAIMED_FOR = campaigns.tries(2, 70)
"""Seconds of being told that somebody works on it; a gateway that died keeps its claim on a key for a minute."""
ENDED_WITHIN = 60.0
AGAIN = 0.2


@dataclass
class Followed:
    """One task as its reader saw it, over however many connections."""

    id: str
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return bool(self.seen) and self.seen[-1][1]["type"] in LAST


@dataclass
class Load:
    """What was asked for and what became of it."""

    gateways: Sequence[str]
    http: aiohttp.ClientSession
    pace: float = 0.5
    """Seconds between two tasks."""
    tasks: dict[int, Followed] = field(default_factory=dict)
    taken: list[float] = field(default_factory=list)
    """When each was taken, by `time.monotonic`."""
    doubtful: list[int] = field(default_factory=list)
    """Nobody said what became of them: the gateway that worked on them died, and its claim on their key still counts."""
    refusals: Counter[str] = field(default_factory=Counter)
    """Answers that were not a yes: status and code, and whether they said when to come again."""

    async def run(self, over: asyncio.Event) -> None:
        """Ask and follow until it is over; then until all that was taken has ended."""
        number = 0
        async with asyncio.timeout(ENDED_WITHIN * 6), asyncio.TaskGroup() as group:
            while not over.is_set():
                group.create_task(self._one(number))
                number += 1
                await asyncio.sleep(self.pace)

    async def more(self, count: int, within: float = 30) -> None:
        """Until so many more were taken."""
        goal = len(self.taken) + count
        async with asyncio.timeout(within):
            while len(self.taken) < goal:  # noqa: ASYNC110 (a list that many tasks append to)
                await asyncio.sleep(0.02)

    async def more_ended(self, count: int, within: float = 30) -> None:
        """Until so many of those that are taken from now on have ended."""
        before = set(self.tasks)
        async with asyncio.timeout(within):
            while sum(each.ended for number, each in self.tasks.items() if number not in before) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def outage(self, since: float) -> float:
        """The longest time since then in which nothing was taken."""
        stamps = [since, *(each for each in self.taken if each > since)]
        return max(after - before for before, after in pairwise(stamps))

    async def _one(self, number: int) -> None:
        id = await self._ask(number)
        if id is None:
            self.doubtful.append(number)
            return
        self.taken.append(time.monotonic())
        self.tasks[number] = followed = Followed(id)
        async with asyncio.timeout(ENDED_WITHIN):
            attempt = number
            while not followed.ended:
                await self.read(followed, self.gateways[attempt % len(self.gateways)])
                attempt += 1

    async def _ask(self, number: int) -> str | None:
        deadline, attempt = time.monotonic() + TAKEN_WITHIN, number
        claimed: float | None = None
        while time.monotonic() < deadline or claimed:
            attempt += 1
            try:
                answer = await self.http.post(
                    f"{self.gateways[attempt % len(self.gateways)]}/api/pr-agent/execute",
                    json={"repo": "acme/shop", "task": f"Task number {number}"},
                    headers={"Idempotency-Key": f"task-{id(self)}-{number}"},
                    timeout=aiohttp.ClientTimeout(total=15),
                )
                said = await answer.json()
            except AWAY:
                await asyncio.sleep(AGAIN)
                continue
            if answer.status == 200:
                return str(said["jobId"])
            later = answer.headers.get("Retry-After", "")
            self.refusals[f"{answer.status} {said.get('code')} {'later' if later else 'never'}"] += 1
            claimed = (claimed or time.monotonic()) if answer.status == 409 else None
            if claimed and time.monotonic() - claimed > CLAIMED_FOR:
                return None
            await asyncio.sleep(float(later or AGAIN))
        raise TimeoutError(f"task {number} was not taken: {self.refusals}")

    async def read(self, followed: Followed, gateway: str) -> None:
        """Over one connection, as long as it lasts, from where the last one ended."""
        headers = {"Last-Event-ID": followed.seen[-1][0]} if followed.seen else {}
        try:
            async with self.http.get(f"{gateway}/api/pr-agent/{followed.id}/stream", headers=headers) as answer:
                if answer.status != 200:
                    self.refusals[f"{answer.status} stream {'later' if 'Retry-After' in answer.headers else 'never'}"] += 1
                    await asyncio.sleep(AGAIN)
                    return
                id = ""
                async for line in answer.content:
                    if line.startswith(b"id: "):
                        id = line[4:].decode().strip()
                    elif line.startswith(b"data: "):
                        followed.seen.append((id, json.loads(line[6:])))
        except AWAY:
            await asyncio.sleep(AGAIN)


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), read_bufsize=1 << 18, timeout=aiohttp.ClientTimeout(total=None, sock_read=20)
    )
