"""How much waits on the bus now: behind each consumer of a service, and in the lanes of each pool; asked when somebody looks."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from typing import Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from trunkline.bus.heeding import heeding
from trunkline.bus.streams import WORK
from trunkline.bus.watching import Watch, pool_label
from trunkline.contracts import subjects

FRESH_S: Final = 2.0
"""Seconds for which an answer counts: several may look."""
WITHIN: Final = 1.0
"""Seconds that whoever looks waits for nats-server: the other figures matter most when it does not answer."""


class Depths:
    """Shown by gauges; where nats-server does not answer they stay as they were."""

    def __init__(self, watch: Watch, js: JetStreamContext) -> None:
        self._watch = watch
        self._js = js
        self._at = -FRESH_S

    async def look(self, *, work: bool) -> None:
        """`work`: the lanes of all pools too."""
        if time.monotonic() - self._at < FRESH_S:
            return
        self._at = time.monotonic()
        with suppress(NatsError, TimeoutError):
            async with asyncio.timeout(WITHIN):
                if work:
                    await heeding(self._work())
                await heeding(self._consumers())

    async def _consumers(self) -> None:
        for consumer in self._watch.consumers:
            stream, name = consumer.source
            with suppress(NatsError):  # one without a leader keeps nobody from being told of the others
                found = await self._js.consumer_info(stream, name)
                self._watch.meters.show("consumer_pending", found.num_pending or 0, name)
                self._watch.meters.show("consumer_unacknowledged", found.num_ack_pending or 0, name)

    async def _work(self) -> None:
        """A work queue holds what is waiting and what is being carried out."""
        held: Counter[tuple[str, str]] = Counter()
        state = (await self._js.stream_info(WORK, subjects_filter=subjects.ALL_WORK)).state
        for subject, count in (state.subjects or {}).items():
            line = subjects.parse_work(subject)
            if line is not None:
                held[pool_label(subject.split(".")[1]), line.lane] += count
        self._watch.meters.forget("work")
        for (pool, lane), count in held.items():
            self._watch.meters.show("work", count, pool, lane)
