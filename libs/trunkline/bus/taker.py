"""Asking the lines of a pool for what there are hands for: nothing waits at the server, and a bell tells when asking is worth it."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Coroutine, Mapping
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
from trunkline.bus.watching import pool_label
from trunkline.contracts import subjects
from trunkline.contracts.subjects import Line
from trunkline.telemetry.metrics import Meters, Uncounted

log = structlog.get_logger()

PAUSE: Final = 0.5
LAST_WORD: Final = 0.3
"""Seconds in which the answer to the last question may still come, so that it is handed back and not waited for."""
BRIEF: Final = 0.5
"""Seconds for which any answer is waited for while some line gives none: no other line waits longer for its question."""
EMPTY: Final = ("404", "408")
MOST: Final = 16
"""Messages that are asked for at once."""
IN_STOCK: Final = 0.1
"""Seconds for which what was fetched waits to be taken; then it is handed back."""


class _Lost(Exception):
    """The question went with the connection: that says nothing of its line."""


class Taker:
    """One taker of one pool, for all tenants in fair turns or for one alone. `message` is called by one task at a time."""

    def __init__(
        self,
        answers: Answers,
        pool: str,
        tenant: str | None = None,
        weights: Mapping[str, float] | None = None,
        meters: Meters | None = None,
    ) -> None:
        self._answers = answers
        self._meters = meters or Uncounted()
        self._client = client = answers.client
        self._pool = pool
        self._tenant = tenant or ""
        self._subjects = subjects.work_of(pool, tenant)
        self._lines = Lines(weights)
        self._inbox = client.new_inbox()
        self._asked = 0
        self._answer: asyncio.Future[Msg] | None = None
        self._told = asyncio.Event()
        self._told.set()
        self._bell = asyncio.Event()
        self._owed = 0
        """Messages with which the question may still be answered."""
        self._stock: deque[Msg] = deque()
        self._came = asyncio.Event()
        self._return: asyncio.TimerHandle | None = None
        self._beside: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None
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
        self._keep()
        if self._opening:
            self._opening.cancel()
        await self._give_back()

    def expect(self, lane: str) -> None:
        """Of our tenant something comes back to the lane now, which rings no bell."""
        self._lines.ring(Line(lane, self._tenant))
        self._bell.set()

    def doubt(self) -> None:
        """The connection was away: bells may have been missed."""
        self._lines.doubt()
        self._bell.set()
        self._owed = 0  # the question, or its answer, may be lost with the connection
        self._came.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_Lost())

    async def message(self, hands: int = 1) -> Msg:
        """The next message of the lines, however long it takes. With `hands` for more, more may be fetched, for the calls that follow."""
        clock = asyncio.get_running_loop().time
        self._keep()
        while True:
            if self._stock:
                return self._from_stock()
            if self._owed:
                await self._more()
                continue
            if self._lines.looks(clock()):
                await self._look()
            line = self._lines.next(clock())
            if line is None:
                await self._rest()
            elif (message := await self._ask(line, hands)) is not None:
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

    async def _more(self) -> None:
        """Something else that was asked for comes, or it is told that nothing does."""
        self._came.clear()
        try:
            async with asyncio.timeout(ANSWER):
                await self._came.wait()
        except TimeoutError:
            self._owed = 0

    async def _ask(self, line: Line, hands: int) -> Msg | None:
        if not self._client.is_connected:  # questions would pile up, and all be answered at once
            await asyncio.sleep(PAUSE)
            return None
        try:
            return self._read(line, await self._answered_there(line, min(hands, self._lines.waiting(line), MOST)))
        except _Lost:
            return None
        except TimeoutError:
            self._meters.count("lines_unanswered_total", pool_label(self._pool), line.lane)
            log.warning("work.no_answer", pool=self._pool, lane=line.lane, tenant=line.tenant)
            self._open_beside(line)
        except NatsError as error:
            log.warning("work.not_asked", pool=self._pool, lane=line.lane, tenant=line.tenant, error=str(error))
        self._owed = 0
        self._lines.silent(line, asyncio.get_running_loop().time())
        return None

    async def _answered_there(self, line: Line, most: int) -> Msg:
        """The answer of a line, whose consumer is made if it has none. Raises TimeoutError, NatsError."""
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{WORK}.{line_name(self._pool, line)}"
        answer = await self._answered(subject, most)
        if not (self._says(answer) and status_of(answer) == NOBODY):
            return answer
        await open_line(self._answers, self._pool, line)
        return await self._answered(subject, most)

    def _open_beside(self, line: Line) -> None:
        """Where somebody listens in on questions, the server does not say that nobody answers them; and of an earlier version's line it
        says nothing once many are under way there. The other lines do not wait for that."""
        if self._opening is None:
            self._opening = self._aside(self._opened(line))

    async def _opened(self, line: Line) -> None:
        try:
            await open_line(self._answers, self._pool, line)
        except NatsError as error:
            log.warning("work.not_opened", pool=self._pool, lane=line.lane, tenant=line.tenant, error=str(error))
        finally:
            self._opening = None

    def _aside(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    async def _answered(self, subject: str, most: int) -> Msg:
        """Raises TimeoutError, NatsError."""
        wish = json.dumps({"batch": most, "no_wait": True}).encode()
        self._asked += 1
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._owed = most
        self._told.clear()
        await self._client.publish(subject, wish, reply=f"{self._inbox}.{self._asked}")
        async with asyncio.timeout(BRIEF if self._lines.some_silent else ANSWER):
            try:
                return await answer
            except asyncio.CancelledError:
                # It came at the very moment at which we were told to stop.
                if answer.done() and not answer.cancelled() and not answer.exception():
                    await self._hand_back(answer.result())
                raise

    def _read(self, line: Line, answer: Msg) -> Msg | None:
        now = asyncio.get_running_loop().time()
        if not self._says(answer):
            self._lines.took(line, answer.metadata.num_pending)
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
        says, owed = self._says(message), self._owed
        if says and message.subject != f"{self._inbox}.{self._asked}":
            return
        self._owed = 0 if says else max(owed - 1, 0)
        if not self._owed:
            self._told.set()
        self._came.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)
        elif owed and not says:
            self._stock.append(message)
            self._hold()
        else:
            await self._hand_back(message)

    def _from_stock(self) -> Msg:
        message = self._stock.popleft()
        self._keep()
        if self._stock:
            self._hold()
        if line := subjects.parse_work(message.subject):
            self._read(line, message)
        return message

    def _hold(self) -> None:
        if self._return is None:
            self._return = asyncio.get_running_loop().call_later(IN_STOCK, self._give_back_soon)

    def _keep(self) -> None:
        if self._return is not None:
            self._return.cancel()
        self._return = None

    def _give_back_soon(self) -> None:
        self._return = None
        self._aside(self._give_back())

    async def _give_back(self) -> None:
        """Nobody takes what was fetched."""
        while self._stock:
            await self._hand_back(self._stock.popleft())

    async def _hand_back(self, message: Msg) -> None:
        """Too late for us: whoever asks next has it at once."""
        if not self._says(message):
            if line := subjects.parse_work(message.subject):
                self._lines.spoke(line)
            with suppress(NatsError):
                await message.nak()

    async def _rang(self, bell: Msg) -> None:
        if line := subjects.parse_work(bell.subject):
            self._lines.ring(line)
            self._bell.set()
