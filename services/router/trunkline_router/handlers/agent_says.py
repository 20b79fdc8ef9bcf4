"""What the work of an agent on NATS says, stored while its lease lasts: a takeover and a word of the one before never pass each other."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

from trunkline.bus import Log, Raced
from trunkline.contracts import subjects
from trunkline.contracts.agent import MOST_SAID, MOST_SPOKEN, Artifact, Held, Item, Progress, Report, Say, Text
from trunkline.contracts.errors import Conflict, Exhausted, TooLarge, Unavailable
from trunkline.contracts.ids import TaskId
from trunkline.contracts.message import Accepted
from trunkline.contracts.record import Record
from trunkline.contracts.run import AgentOutput, Said
from trunkline.contracts.subjects import AgentCall
from trunkline.runtime.faults import faultpoint
from trunkline_router.handlers.agent_struck import clean
from trunkline_router.handlers.lease_reading import Leases, due_of

RACES: Final = 20
PAUSE: Final = 0.005
REMEMBERED: Final = 10_000
OUTPUT: Final = "output"


class _Words(NamedTuple):
    """What is said under a lease, and the name by which it is known when it comes again."""

    held: Held
    items: tuple[Item, ...]
    name: str


class AgentSays:
    def __init__(self, leases: Leases, log: Log, now: Callable[[], datetime]) -> None:
        self._leases = leases
        self._log = log
        self._now = now
        self._spoken: OrderedDict[str, int] = OrderedDict()

    async def say(self, call: AgentCall, wish: Say) -> Accepted:
        """Returns when it is on disk; the same id again says it once. Raises NotFound, Conflict, TooLarge, Exhausted, Unavailable."""
        wish = clean(wish)
        return Accepted(seq=await self._say(call, _Words(wish, wish.items, f"say:{call.tenant}:{wish.task_id}:{wish.lease}:{wish.id}")))

    async def said_with(self, call: AgentCall, wish: Report) -> None:
        """What comes with a report. Nothing where the lease is over: whether that report is a repeat, the task knows. Else as `say`."""
        with suppress(Conflict):
            name = f"report:{call.tenant}:{wish.task_id}:{wish.lease}:{wish.reported}"
            await self._say(call, _Words(wish, wish.said, name))

    async def _say(self, call: AgentCall, words: _Words) -> int:
        for race in range(RACES):
            found, lease = await self._leases.held(call, words.held, fenced=not race)
            facts = tuple(_output(item, lease.attempt, line) for line, item in enumerate(words.items, 1))
            record = Record(at=self._now(), cause="say", facts=facts)
            if not race:
                self._count(words.held.lease, len(record.body))
            faultpoint("agent_say.before_effect")
            try:
                return await self._stored(call, words, record, found.seq)
            except Raced:  # the task moves: whether the lease still holds is read again
                await asyncio.sleep(random.uniform(0, PAUSE * race))
        raise Unavailable("too much happens to this task at once; try again in a moment", code="CONTENDED")

    async def _stored(self, call: AgentCall, words: _Words, record: Record, seq: int) -> int:
        task = TaskId(words.held.task_id)
        fence = due_of(call, task).subject, seq
        return await self._log.say_while(subjects.event(call.tenant, task, OUTPUT), record, id=words.name, fence=fence)

    def _count(self, lease: str, size: int) -> None:
        if size > MOST_SAID:
            raise TooLarge(f"at most {MOST_SAID} bytes are said at once; say it in parts", code="TOO_MUCH_AT_ONCE")
        spoken = self._spoken.pop(lease, 0) + size
        if spoken <= MOST_SPOKEN:
            self._spoken[lease] = spoken
        else:
            self._spoken[lease] = spoken - size
            raise Exhausted("this work has said more than is kept; leave the rest elsewhere, and tell where", code="TOO_MUCH_SAID")
        if len(self._spoken) > REMEMBERED:
            self._spoken.popitem(last=False)


def _output(item: Item, attempt: int, line: int) -> AgentOutput:
    match item:
        case Text():
            display = " ".join(item.text.split())[:200]
            return AgentOutput(attempt=attempt, line=line, kind=Said.MESSAGE, display=display, text=item.text, is_error=item.is_error)
        case Progress():
            share = "" if item.fraction is None else f"{item.fraction:.0%}"
            return AgentOutput(
                attempt=attempt, line=line, kind=Said.NOTICE, display=" ".join(filter(None, (share, item.text))) or "working",
                detail={"progress": item.fraction, "text": item.text},
            )  # fmt: skip
        case Artifact():
            return AgentOutput(
                attempt=attempt, line=line, kind=Said.NOTICE, display=f"made {item.name}", text=item.text or item.url,
                detail={"artifact": item.model_dump(mode="json", exclude={"kind", "text"})},
            )  # fmt: skip
