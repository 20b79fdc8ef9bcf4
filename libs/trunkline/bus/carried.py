"""Whether anybody lived to say how a message went: one that ends whoever carries it must not be handed out for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import orjson
from nats.aio.msg import Msg

from trunkline.bus.answers import CANNOT_ASK, Answers, status_of
from trunkline.bus.delivery import Poison, seq_of, tries_of
from trunkline.bus.streams import BEATS
from trunkline.contracts import subjects

FROM: Final = 3
"""Deliveries from which on it is noted that somebody begins: what went well before costs nothing."""
MOST_DEATHS: Final = 3
"""In a row. A failure that is said, of whatever kind, is no death."""
WITHIN: Final = 1.0
"""Seconds for one note; where none can be kept, nothing is counted."""


class Carriers:
    """Notes about messages that were handed out more than once; they lie in the memory of nats-server, and count anew without it."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def guarded(self, message: Msg, work: Callable[[], Awaitable[None]]) -> None:
        """The work, unless those before us died of it. Raises Poison, and whatever the work does."""
        if tries_of(message) < FROM:
            await work()
            return
        note = subjects.carried(message.metadata.consumer, seq_of(message))
        deaths = await self._deaths(note)
        if deaths >= MOST_DEATHS:
            raise Poison(f"it ended whoever carried it, {deaths} times in a row: nobody lived to say why")
        await self._write(note, deaths, begun=True)
        try:
            await work()
        finally:
            await self._write(note, 0, begun=False)

    async def _deaths(self, note: str) -> int:
        """How many in a row began and said nothing."""
        with suppress(*CANNOT_ASK):
            said = await self._answers.asked(f"$JS.API.DIRECT.GET.{BEATS}.{note}", b"", {}, WITHIN)
            if said is not None and not status_of(said):
                known = orjson.loads(said.data)
                return int(known["deaths"]) + 1 if known["begun"] else 0
        return 0

    async def _write(self, note: str, deaths: int, *, begun: bool) -> None:
        with suppress(*CANNOT_ASK):
            await self._answers.asked(note, orjson.dumps({"begun": begun, "deaths": deaths}), {}, WITHIN)
