"""Reading a durable consumer by a callback: few requests for many messages, each worked on as it comes, some dozens at once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from trunkline.bus.imported import is_imported
from trunkline.bus.pace import REST, Pace

log = structlog.get_logger()

BATCH: Final = 64
"""Messages asked for at a time, and worked on at once where nothing else is said; more wait in the subscription, which stops asking."""
LOW: Final = 16
EXPIRES: Final = 5.0
"""Seconds a request waits at the server; one that was lost with its server or its consumer is missed no longer than that."""
AT_ONCE: Final = 0.25
"""Seconds that a question for what there is now waits: where too much is being carried, the server does not answer it at all."""
PAUSE: Final = 0.2
SURE: Final = 1.0
"""Seconds without a refusal after which a request counts as taken: a refused one is repeated far sooner."""
DRAIN: Final = 2.0
BURST: Final = 64
"""Messages of one look: while they are read, nothing else is."""
BURST_BYTES: Final = 4 << 20
LEISURE: Final = 0.5
"""Seconds between two looks at what nobody waits for: many at once cost a third of what they cost one by one."""
_WISH: Final = json.dumps({"batch": BATCH, "expires": int(EXPIRES * 1e9)}).encode()
_ALL_THERE_IS: Final = json.dumps({"batch": BURST, "max_bytes": BURST_BYTES, "no_wait": True}).encode()
_EMPTY: Final = "404"
_USUAL: Final = ("408", _EMPTY)
_FULL: Final = ("Message Size Exceeds MaxBytes", "Batch Completed")

Way = Callable[[Msg], Awaitable[None]]
Passed = Callable[[str, bytes], bool]
"""Whether a message, by its subject and its body, is nothing for us."""


@dataclass(frozen=True, slots=True)
class How:
    """`passed`: what is acknowledged and not taken. `hands`: how many messages are worked on at once. `begins`: what a timer lets happen
    is no part of what set it, however long ago. `calm`: whether nobody waits for what comes, as all of it is passed over now."""

    passed: Passed | None = None
    hands: int = BATCH
    begins: bool = False
    calm: Callable[[], bool] = lambda: False


AS_USUAL: Final = How()


class Pull:
    """One durable consumer as this process reads it; its replicas share the messages."""

    def __init__(self, client: Client, source: tuple[str, str], ways: tuple[Way, Way], how: How = AS_USUAL) -> None:
        """`source` is a stream and its durable consumer; `ways` are what is done with a message, and how one that is passed over ends."""
        self._client = client
        self.source = source
        self._reading = False
        self._refused_at = -SURE
        self._next = "$JS.API.CONSUMER.MSG.NEXT." + ".".join(source)
        self._take, self._ack = ways
        self._passed, self._calm = how.passed, how.calm
        self._empty = False
        self._pace = Pace()
        self._inbox = client.new_inbox()
        self._hands = asyncio.Semaphore(how.hands)
        self._requests = 0
        self._owed = 0
        self._again = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def bound(self) -> bool:
        """Whether it is read now; not where it has no leader, or was deleted."""
        return self._reading and time.monotonic() - self._refused_at > SURE

    async def run(self) -> None:
        """For ever; cancelling takes nothing new and gives what is under way some seconds to end."""
        async with asyncio.TaskGroup() as group:

            async def arrived(message: Msg) -> None:
                await self._arrived(message, group)

            subscription = await self._client.subscribe(f"{self._inbox}.*", cb=arrived)
            self._reading = True
            try:
                while True:
                    await self._ask()
            except asyncio.CancelledError:
                self._reading = False
                with suppress(NatsError):
                    await subscription.unsubscribe()
                await self._finish()
                raise

    def ask_again(self) -> None:
        """The server may have forgotten what it was asked (a reconnect)."""
        self._owed = 0
        self._again.set()

    async def _ask(self) -> None:
        """Ask for a batch; return when little of it is left to come, or when it may be lost."""
        brisk = self._pace.turn()
        if self._empty and self._calm():
            await asyncio.sleep(LEISURE)
        elif brisk:
            await asyncio.sleep(REST)
        self._requests += 1
        self._owed, wish = (BURST, _ALL_THERE_IS) if brisk or self._calm() else (BATCH, _WISH)
        self._empty = False
        self._again.clear()
        try:
            await self._client.publish(self._next, wish, reply=f"{self._inbox}.{self._requests}")
        except NatsError as error:
            log.warning("pull.not_asked", error=str(error))
            await asyncio.sleep(PAUSE)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(AT_ONCE if brisk else EXPIRES + 1):
                await self._again.wait()

    async def _arrived(self, message: Msg, group: asyncio.TaskGroup) -> None:
        if message.subject.startswith(self._inbox):  # a status: this request is over
            if message.subject == f"{self._inbox}.{self._requests}":
                await self._over(message)
            return
        self._owed -= 1
        self._pace.came()
        if self._owed <= LOW:
            self._again.set()
        if is_imported(message) or (self._passed is not None and self._passed(message.subject, message.data)):
            await self._ack(message)
            return
        await self._hands.acquire()
        task = group.create_task(self._worked(message))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _over(self, status: Msg) -> None:
        headers = status.headers or {}
        code, said = headers.get("Status", ""), headers.get("Description", "").strip()
        self._empty = code == _EMPTY
        if code not in _USUAL and said not in _FULL:  # a consumer without a leader, or gone: not to be asked in a tight loop
            if self.bound:  # the others of a series say nothing new
                log.warning("pull.refused", consumer=self.source[1], status=code, said=said)
            self._refused_at = time.monotonic()
            await asyncio.sleep(PAUSE)
        self._again.set()

    async def _worked(self, message: Msg) -> None:
        try:
            await self._take(message)
        except Exception:  # unacknowledged, it comes again; the other messages go on
            log.exception("pull.broke", subject=message.subject)
        finally:
            self._hands.release()

    async def _finish(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=DRAIN)
