"""Asking the lines of a pool for one message at a time: nothing waits at the server, and a bell tells when asking is worth it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from trunkline.bus.answers import NOBODY, Answers, status_of
from trunkline.bus.delivery import deliveries
from trunkline.bus.line_consumers import ANSWER, held_lines, line_name, open_line
from trunkline.bus.lines import Lines
from trunkline.bus.streams import WORK
from trunkline.contracts import subjects
from trunkline.contracts.subjects import Line

log = structlog.get_logger()

PAUSE: Final = 0.5
LAST_WORD: Final = 0.3
"""Seconds in which the answer to the last question may still come, so that it is handed back and not waited for."""
EMPTY: Final = ("404", "408")
_WISH: Final = json.dumps({"batch": 1, "no_wait": True}).encode()


class Taker:
    """One taker of one pool, for all tenants in fair turns or for one alone. `message` is called by one task at a time."""

    def __init__(self, answers: Answers, pool: str, tenant: str | None = None, weights: Mapping[str, float] | None = None) -> None:
        self._answers = answers
        self._client = client = answers.client
        self._pool = pool
        self._subjects = subjects.work_of(pool, tenant)
        self._lines = Lines(weights)
        self._inbox = client.new_inbox()
        self._asked = 0
        self._answer: asyncio.Future[Msg] | None = None
        self._told = asyncio.Event()
        self._told.set()
        self._bell = asyncio.Event()
        self._ears: list[Subscription] = []

    async def open(self) -> None:
        """Listen for answers and for the bell."""
        self._ears.append(await self._client.subscribe(f"{self._inbox}.*", cb=self._arrived))
        self._ears.append(await self._client.subscribe(subjects.LIVE_PREFIX + self._subjects, cb=self._rang))

    async def close(self) -> None:
        """Take nothing any more. What was asked for a moment ago is handed back."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD):
                await self._told.wait()
        for ear in self._ears:
            with suppress(NatsError, TimeoutError):
                await ear.unsubscribe()

    def doubt(self) -> None:
        """The connection was away: bells may have been missed."""
        self._lines.doubt()
        self._bell.set()

    async def message(self) -> Msg:
        """The next message of the lines, however long it takes."""
        clock = asyncio.get_running_loop().time
        while True:
            if self._lines.looks(clock()):
                await self._look()
            line = self._lines.next(clock())
            if line is None:
                await self._rest()
            elif (message := await self._ask(line)) is not None:
                return message

    async def _rest(self) -> None:
        """Until the bell rings, at most until something is not believed any more."""
        self._bell.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._lines.quiet_until()):
                await self._bell.wait()

    async def _look(self) -> None:
        """Which lines hold anything: those that were there before us, and what may come back to them."""
        found: list[Line] | None = None
        try:
            found = await held_lines(self._answers, self._subjects)
        except NatsError as error:
            log.warning("work.not_looked", pool=self._pool, error=str(error))
        self._lines.held(found, asyncio.get_running_loop().time())

    async def _ask(self, line: Line) -> Msg | None:
        if not self._client.is_connected:  # questions would pile up, and all be answered at once
            await asyncio.sleep(PAUSE)
            return None
        try:
            return self._read(line, await self._answered_there(line))
        except TimeoutError:
            log.warning("work.no_answer", pool=self._pool, lane=line.lane, tenant=line.tenant)
        except NatsError as error:
            log.warning("work.not_asked", pool=self._pool, lane=line.lane, tenant=line.tenant, error=str(error))
            await asyncio.sleep(PAUSE)
        return None

    async def _answered_there(self, line: Line) -> Msg:
        """The answer of a line, whose consumer is made if it has none. Raises TimeoutError, NatsError."""
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{WORK}.{line_name(self._pool, line)}"
        with suppress(TimeoutError):  # where somebody listens in on questions, the server does not say that nobody answers them
            answer = await self._answered(subject)
            if not (self._says(answer) and status_of(answer) == NOBODY):
                return answer
        await open_line(self._answers, self._pool, line)
        return await self._answered(subject)

    async def _answered(self, subject: str) -> Msg:
        """Raises TimeoutError, NatsError."""
        self._asked += 1
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._told.clear()
        await self._client.publish(subject, _WISH, reply=f"{self._inbox}.{self._asked}")
        async with asyncio.timeout(ANSWER):
            try:
                return await answer
            except asyncio.CancelledError:
                if answer.done() and not answer.cancelled():  # it came at the very moment at which we were told to stop
                    await self._hand_back(answer.result())
                raise

    def _read(self, line: Line, answer: Msg) -> Msg | None:
        now = asyncio.get_running_loop().time()
        if not self._says(answer):
            self._lines.took(line)
            if not answer.metadata.num_pending and deliveries(answer) == 1:  # where one came back, more may wait that are not counted
                self._lines.emptied(line, now)
            return answer
        if (status := status_of(answer)) not in EMPTY:  # no leader now, or too much is being carried
            log.warning("work.refused", status=status, said=(answer.headers or {}).get("Description", ""))
        self._lines.emptied(line, now)
        return None

    def _says(self, message: Msg) -> bool:
        """Whether it is a word of the server's about our question, and no message."""
        return message.subject.startswith(self._inbox)

    async def _arrived(self, message: Msg) -> None:
        if self._says(message) and message.subject != f"{self._inbox}.{self._asked}":
            return
        self._told.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)
        else:
            await self._hand_back(message)

    async def _hand_back(self, message: Msg) -> None:
        """Too late for us: whoever asks next has it at once."""
        if not self._says(message):
            with suppress(NatsError):
                await message.nak()

    async def _rang(self, bell: Msg) -> None:
        if line := subjects.parse_work(bell.subject):
            self._lines.ring(line)
            self._bell.set()
