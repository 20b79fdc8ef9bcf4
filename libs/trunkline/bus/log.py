"""The log: fenced appends to one aggregate, loading one aggregate, and following everything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nats.aio.msg import Msg
from nats.js import JetStreamContext

from trunkline.bus import at_once
from trunkline.bus.answers import Answers
from trunkline.bus.direct import DirectReader, KnownRecords, Stored
from trunkline.bus.live import Live
from trunkline.bus.patience import patiently
from trunkline.bus.publish import Raced, publish
from trunkline.bus.streams import EVENTS
from trunkline.contracts import subjects
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.record import Record
from trunkline.telemetry.traces import carried

_FENCE: Final = "Nats-Expected-Last-Subject-Sequence"
_FENCED_ON: Final = "Nats-Expected-Last-Subject-Sequence-Subject"


@dataclass(frozen=True, slots=True)
class Loaded:
    """All records of one aggregate and the sequence of the last, 0 when there is none."""

    records: tuple[Stored, ...]
    seq: int


class Log:
    """Where facts are stored. One append is one decision, however many facts it holds."""

    def __init__(self, answers: Answers, js: JetStreamContext, direct: DirectReader, live: Live) -> None:
        self.known = KnownRecords()
        self._under_way: set[str] = set()
        self.refused: Callable[[str], None] = lambda _: None
        """Told why whenever nothing was stored."""
        self._answers = answers
        self._js = js
        self._direct = direct
        self._live = live

    async def append(self, subject: str, record: Record, *, expect: int, id: str) -> int:
        """Store `record` if the last sequence of `subject` is still `expect`; returns its own sequence.

        Raises Raced when another writer was first, Unavailable when the bus does not confirm.
        """
        self._under_way.add(id)
        try:
            seq = await publish(self._answers, subject, record.body, id=id, headers=carried({_FENCE: str(expect)}))
            self.known.know(Stored(seq, subject, record.body, own=record))
            return seq
        except Unavailable:
            self.refused("away")
            raise
        except Raced:
            # The server looks at the fence before it looks for a repeat: after a lost answer the other writer may be us.
            async for stored in self._direct.read(subject, expect + 1):
                if stored.id == id:
                    return stored.seq
            self.refused("raced")
            raise
        finally:
            self._under_way.discard(id)

    async def load(self, subject: str, after: int = 0) -> Loaded:
        """Everything that was appended to `subject` behind the sequence `after`."""
        records = tuple([stored async for stored in self._direct.read(subject, after + 1)])
        return Loaded(records, records[-1].seq if records else after)

    async def last(self, subject: str) -> Stored | None:
        """The newest record of `subject`. Raises BusAway."""
        return await self._direct.last(subject)

    async def first(self, subject: str) -> Stored | None:
        """The oldest record of `subject` that is kept. Raises BusAway."""
        return await self._direct.first(subject)

    async def say(self, subject: str, record: Record, *, id: str) -> int:
        """Store `record` whatever lies there; the same `id` again stores nothing. Returns its sequence. Raises Unavailable."""
        return await publish(self._answers, subject, record.body, id=id, headers=carried({}))

    async def named(self, subject: str, id: str, *, since: datetime) -> int | None:
        """The sequence of what was stored on `subject` by this `id`, at `since` or later; each record since then is looked at.

        Raises Unavailable.
        """
        first = await self._direct.since(since)
        if first is None:
            return None
        async for stored in self._direct.read(subject, first):
            if stored.id == id:
                return stored.seq
        return None

    async def say_while(self, subject: str, record: Record, *, id: str, fence: tuple[str, int]) -> int:
        """Store `record` while the last sequence of the other subject in `fence` is still the one there; else as `say`.

        Raises Raced when something was appended there, Unavailable when the bus does not confirm.
        """
        headers = carried({_FENCE: str(fence[1]), _FENCED_ON: fence[0]})
        return await publish(self._answers, subject, record.body, id=id, headers=headers)

    async def last_seq(self) -> int:
        """The sequence of the newest record there is, asked of the leader now; 0 when there is none. Raises BusAway."""
        state = (await patiently(lambda: self._js.stream_info(EVENTS))).state
        if not state.messages or state.messages == state.last_seq - state.first_seq + 1:
            return state.last_seq if state.messages else 0
        newest = await self.last(subjects.ALL_EVENTS)  # what it counts to may be damaged or purged: whoever waited for it waited in vain
        return newest.seq if newest else 0

    async def ends(self) -> tuple[int, int]:
        """The first and the last sequence, asked of the leader now; of a log that holds nothing any more, the first lies beyond the last.

        Raises BusAway.
        """
        state = (await patiently(lambda: self._js.stream_info(EVENTS))).state
        return state.first_seq, state.last_seq

    async def overhear(self, filter_subject: str, tell: Callable[[Stored, int], None]) -> None:
        """From now on tell of each record that matches and is not appended here, and the sequence of the one before it on its subject.

        Some may be missed, and nobody is told. Raises BusAway.
        """

        def on(message: Msg) -> None:
            headers = message.headers or {}
            if headers.get("Nats-Msg-Id") in self._under_way:
                return
            stored = Stored(int(headers["Nats-Sequence"]), message.subject.removeprefix(subjects.LIVE_PREFIX), message.data)
            self.known.know(stored)  # it may be delivered here as well
            tell(stored, int(headers["Nats-Last-Sequence"]))

        client = self._answers.client
        await patiently(lambda: at_once.subscribe(client, subjects.LIVE_PREFIX + filter_subject, on))
        await patiently(lambda: client.flush(timeout=5))

    def already(self, after: int) -> AsyncIterator[Stored]:
        """Every record with a sequence beyond `after` that is there at this moment, in order. Raises Unavailable."""
        return self._live.already(subjects.ALL_EVENTS, after)

    def follow(self, after: int) -> AsyncIterator[Stored]:
        """Every record with a sequence beyond `after`, in order, for ever, without a gap."""
        return self._live.stored(subjects.ALL_EVENTS, after)
