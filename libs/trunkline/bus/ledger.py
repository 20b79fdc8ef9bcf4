"""A stream of records beside the log: fenced appends, the newest record of a subject, and what lies between two places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from trunkline.bus.answers import Answers
from trunkline.bus.direct import DirectReader, Stored
from trunkline.bus.heeding import heeding
from trunkline.bus.patience import patiently
from trunkline.bus.publish import Raced, publish
from trunkline.contracts import subjects
from trunkline.contracts.errors import Unavailable
from trunkline.telemetry.traces import carried

WATCH: Final = 1.0
"""Seconds between two looks whether something was stored that never came by."""
_FENCE: Final = "Nats-Expected-Last-Subject-Sequence"


class Ledger:
    """One stream. `start` it once before anything else."""

    def __init__(self, answers: Answers, js: JetStreamContext, stream: str, *, replicated: bool) -> None:
        self._answers = answers
        self._js = js
        self._stream = stream
        self._direct = DirectReader(answers.client, js, replicated=replicated, stream=stream)

    async def start(self) -> None:
        await self._direct.start()

    async def append(self, subject: str, body: bytes, *, expect: int, id: str, ttl_s: int | None = None) -> int:
        """Store `body` if the last sequence of `subject` is still `expect`; returns its own. The same `id` again is the same append.

        It is forgotten after `ttl_s` seconds, where the stream allows that.

        Raises Raced when another writer was first, Unavailable when the bus does not confirm.
        """
        headers = carried({_FENCE: str(expect), **({"Nats-TTL": f"{ttl_s}s"} if ttl_s else {})})
        try:
            return await publish(self._answers, subject, body, id=id, headers=headers)
        except Raced:
            async for stored in self._direct.read(subject, expect + 1):
                if stored.id == id:  # after a lost answer the other writer may be us
                    return stored.seq
            raise

    async def last(self, subject: str) -> Stored | None:
        """The newest record of `subject`. Raises BusAway."""
        return await self._direct.last(subject)

    def read(self, filter_subject: str, first: int) -> AsyncIterator[Stored]:
        """What is stored with a sequence from `first` on, in order. Raises Unavailable."""
        return self._direct.read(filter_subject, first)

    async def count(self, filter_subject: str) -> int:
        """How many records there are that match, counted by the server. Raises Unavailable."""
        return await self._direct.count(filter_subject)

    async def bounds(self) -> tuple[int, int]:
        """The first and the last sequence that it holds; the last is 0 while it is empty. Raises BusAway."""
        state = (await patiently(lambda: self._js.stream_info(self._stream))).state
        return state.first_seq, state.last_seq

    async def newest(self) -> int:
        """The last sequence that was ever given, asked of the leader. Raises BusAway."""
        return (await self.bounds())[1]


class Heard:
    """All records of a stream that is republished, as one process hears them: first what lies there, then each as it is stored.

    Nothing is missed for longer than the next look takes. A record may come twice, and an older one after a newer.
    """

    def __init__(self, answers: Answers, ledger: Ledger, filter_subject: str) -> None:
        self._client = answers.client
        self._ledger = ledger
        self._filter = filter_subject
        self._fresh: asyncio.Queue[Stored] = asyncio.Queue(4096)
        self._last = 0

    async def start(self) -> AsyncIterator[Stored]:
        """What lies there now; `records` goes on from there. Raises Unavailable."""
        await patiently(self._subscribe)
        return self._unread()

    async def records(self) -> AsyncIterator[Stored]:
        """What comes from now on, for ever."""
        while True:
            stored = await self._next()
            if stored is None:
                async for missed in self._missed():
                    yield missed
            else:
                if stored.seq == self._last + 1:
                    self._last = stored.seq
                yield stored

    async def _next(self) -> Stored | None:
        """None when nothing came for a while."""
        try:
            async with asyncio.timeout(WATCH):
                return await self._fresh.get()
        except TimeoutError:
            return None

    async def _missed(self) -> AsyncIterator[Stored]:
        with suppress(NatsError, TimeoutError, Unavailable):
            if (await heeding(self._ledger.newest())) != self._last:
                async for stored in self._unread():
                    yield stored

    async def _unread(self) -> AsyncIterator[Stored]:
        """From the start when the stream is another than before."""
        newest = await self._ledger.newest()
        async for stored in self._ledger.read(self._filter, self._last + 1 if newest >= self._last else 1):
            yield stored
        self._last = newest

    async def _subscribe(self) -> None:
        await self._client.subscribe(subjects.LIVE_PREFIX + self._filter, cb=self._on)
        await self._client.flush(timeout=5)
        await self._client.flush(timeout=5)  # the first may overtake the subscription in the client's own queue

    async def _on(self, message: Msg) -> None:
        seq = int((message.headers or {}).get("Nats-Sequence", 0))
        with suppress(asyncio.QueueFull):  # the next look finds it
            self._fresh.put_nowait(Stored(seq, message.subject.removeprefix(subjects.LIVE_PREFIX), message.data))
