"""What was revoked, kept at nats-server and known to every gateway: read whole at the start, then heard as it comes.

A question costs no message: it is answered from memory. Should a message of the live subject be lost, the next look finds the stream ahead
of what is known, and reads on from there.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal
from uuid import uuid4

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from pydantic import BaseModel, ConfigDict, ValidationError

from trunkline.auth.claims import Token, owner
from trunkline.bus.answers import Answers
from trunkline.bus.direct import DirectReader
from trunkline.bus.heeding import heeding
from trunkline.bus.patience import patiently
from trunkline.bus.publish import publish
from trunkline.bus.streams import REVOKED
from trunkline.contracts import subjects
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.ids import TenantId

log = structlog.get_logger()

WATCH: Final = 1.0
"""Seconds between two looks whether something was revoked that never came by."""
TOKEN: Final = "token"
SUBJECT: Final = "subject"
Kind = Literal["token", "subject"]


class _Entry(BaseModel):
    """One revocation as it lies in the stream; its subject says of what."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    until: float
    """Infinity: never forgotten, as a key has no end of its own."""
    before: float = 0.0
    """Of a subject: the moment up to which what was minted counts no more."""


class Roll:
    """Everything revoked and not yet forgotten. Moments are epoch seconds; what has no end is kept until infinity.

    API keys alone have none, and only those can be revoked that a gateway is configured with: there are as many such entries as texts of
    keys that ever were. All in all there are as many as the stream may hold.
    """

    def __init__(self, answers: Answers, js: JetStreamContext, *, replicated: bool, now: Callable[[], float] = time.time) -> None:
        client = self._client = answers.client
        self._js = js
        self._answers = answers
        self._direct = DirectReader(client, js, replicated=replicated, stream=REVOKED)
        self._now = now
        self._marks: dict[str, float] = {}
        self._owners: dict[str, _Entry] = {}
        self.changes = 0
        """How often anything was found to be revoked: whoever looked at this number needs no further look while it stays."""
        self._last = 0
        self._started = asyncio.Event()
        self._behind = asyncio.Event()

    def __len__(self) -> int:
        return len(self._marks) + len(self._owners)

    def revoked(self, token: Token) -> bool:
        if token.mark in self._marks:
            return True
        entry = self._owners.get(token.owner)
        return entry is not None and token.issued_at <= entry.before

    async def start(self) -> None:
        """Returns when everything is known that was revoked until now. Raises BusAway."""
        await self._direct.start()
        await patiently(self._subscribe)
        await self._read()
        self._started.set()

    async def revoke_token(self, token: Token, until: float) -> None:
        """Returns when it is on disk. Raises Unavailable."""
        await self._put(TOKEN, token.mark, _Entry(until=until))

    async def revoke_subject(self, tenant: TenantId, subject: str, before: float, until: float) -> None:
        """Everything that a subject holds and that was minted up to `before`, or does not say when it was. Raises Unavailable."""
        name = owner(tenant, subject)
        known = self._owners.get(name)
        await self._put(SUBJECT, name, _Entry(until=until, before=max(before, known.before if known else before)))

    async def watch(self) -> None:
        """For ever, once started: catch up with what was revoked unheard, and forget what is over."""
        await self._started.wait()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH):
                    await self._behind.wait()
            self._behind.clear()
            with suppress(NatsError, TimeoutError, Unavailable):
                await self._look()
            self._forget()

    def reconnected(self) -> None:
        """Something may have been revoked meanwhile."""
        self._behind.set()

    async def _subscribe(self) -> None:
        await self._client.subscribe(subjects.LIVE_PREFIX + subjects.ALL_REVOKED, cb=self._on)
        await self._client.flush(timeout=5)
        await self._client.flush(timeout=5)  # the first may overtake the subscription in the client's own queue

    async def _look(self) -> None:
        if (await heeding(self._js.stream_info(REVOKED))).state.last_seq != self._last:
            await self._read()

    async def _read(self) -> None:
        """Read on from what is known; from the start when the stream is another than before."""
        newest = (await patiently(lambda: self._js.stream_info(REVOKED))).state.last_seq
        known = self._last if newest >= self._last else 0
        async for stored in self._direct.read(subjects.ALL_REVOKED, known + 1):
            self._take(stored.subject, stored.body)
        self._last = newest

    async def _on(self, message: Msg) -> None:
        seq = int((message.headers or {}).get("Nats-Sequence", 0))
        self._take(message.subject.removeprefix(subjects.LIVE_PREFIX), message.data)
        if seq == self._last + 1:
            self._last = seq
        elif seq > self._last:
            self._behind.set()

    async def _put(self, kind: Kind, name: str, entry: _Entry) -> None:
        subject, body = subjects.revoked(kind, name), entry.model_dump_json().encode()
        ttl = "never" if math.isinf(entry.until) else f"{max(1, math.ceil(entry.until - self._now()))}s"
        await publish(self._answers, subject, body, id=uuid4().hex, headers={"Nats-TTL": ttl})
        self._take(subject, body)

    def _take(self, subject: str, body: bytes) -> None:
        _, kind, name = subject.split(".")
        try:
            entry = _Entry.model_validate_json(body)
        except ValidationError:  # written by a version that knows more; one entry must not end the gateway
            log.error("roll.unreadable", subject=subject)
            return
        if kind == TOKEN:
            self._marks[name] = entry.until
        elif kind == SUBJECT:
            self._owners[name] = entry
        self.changes += 1

    def _forget(self) -> None:
        now = self._now()
        for mark in [mark for mark, until in self._marks.items() if until < now]:
            del self._marks[mark]
        for name in [name for name, entry in self._owners.items() if entry.until < now]:
            del self._owners[name]
