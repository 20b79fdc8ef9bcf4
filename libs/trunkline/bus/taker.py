"""Asking the lanes of a pool for one message at a time: nothing waits at the server, and a bell tells when asking is worth it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Final

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from trunkline.bus.delivery import deliveries
from trunkline.bus.lanes import Lanes
from trunkline.bus.streams import WORK
from trunkline.contracts import subjects

log = structlog.get_logger()

ANSWER: Final = 2.0
"""Seconds until a question that nobody answered is asked again."""
PAUSE: Final = 0.5
LAST_WORD: Final = 0.3
"""Seconds in which the answer to the last question may still come, so that it is handed back and not waited for."""
EMPTY: Final = ("404", "408")
_WISH: Final = json.dumps({"batch": 1, "no_wait": True}).encode()


class Taker:
    """One taker of one pool. `message` is called by one task at a time."""

    def __init__(self, client: Client, pool: str) -> None:
        self._client = client
        self._pool = pool
        self._lanes = Lanes()
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
        bells = subjects.LIVE_PREFIX + subjects.all_work_of(self._pool)
        self._ears.append(await self._client.subscribe(bells, cb=self._rang))

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
        self._lanes.doubt()
        self._bell.set()

    async def message(self) -> Msg:
        """The next message of the lanes, however long it takes."""
        while True:
            lane = self._lanes.next(asyncio.get_running_loop().time())
            if lane is None:
                await self._rest()
            elif (message := await self._ask(lane)) is not None:
                return message

    async def _rest(self) -> None:
        """Until the bell rings, at most until a lane is not believed to be empty any more."""
        self._bell.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._lanes.quiet_until()):
                await self._bell.wait()

    async def _ask(self, lane: str) -> Msg | None:
        if not self._client.is_connected:  # questions would pile up, and all be answered at once
            await asyncio.sleep(PAUSE)
            return None
        try:
            return self._read(lane, await self._answered(f"$JS.API.CONSUMER.MSG.NEXT.{WORK}.work-{self._pool}-{lane}"))
        except TimeoutError:
            log.warning("work.no_answer", pool=self._pool, lane=lane)
        except NatsError as error:
            log.warning("work.not_asked", pool=self._pool, lane=lane, error=str(error))
            await asyncio.sleep(PAUSE)
        return None

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

    def _read(self, lane: str, answer: Msg) -> Msg | None:
        now = asyncio.get_running_loop().time()
        if not self._says(answer):
            self._lanes.took(lane)
            if not answer.metadata.num_pending and deliveries(answer) == 1:  # where one came back, more may wait that are not counted
                self._lanes.emptied(lane, now)
            return answer
        status = (answer.headers or {}).get("Status", "")
        if status not in EMPTY:  # no leader now, or too much is being carried
            log.warning("work.refused", status=status, said=(answer.headers or {}).get("Description", ""))
        self._lanes.emptied(lane, now)
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
        self._lanes.ring(bell.subject.removeprefix(subjects.LIVE_PREFIX).split(".")[2])
        self._bell.set()
