"""The way of an agent to a control plane in memory, which may be cut like a real one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from pydantic import ValidationError

from trunkline.contracts.errors import DomainError, Invalid, Refusal
from trunkline.contracts.message import Accepted, Message, Reply
from trunkline.sdk.agents.failing import AwayError
from trunkline.sdk.agents.wire import Hear
from trunkline.sdk.testkit.plane import Plane

LOOK_EVERY: Final = 0.02
"""Seconds: some things happen by the clock alone."""


class Switchboard:
    """The plane, shared by the thread of the agent and that of the test; whoever waits is woken when something happened."""

    def __init__(self, lease_s: float, retry_s: float) -> None:
        self.plane = Plane(lease_s, retry_s, self._changed)
        self.lock = threading.RLock()
        self.hears: set[Callable[[str, bytes], None]] = set()
        self.away = False
        self.losing = 0
        """So many answers will get lost on their way."""
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def waiting(self) -> Bell:
        return Bell(self._waiting, self.lock)

    def _changed(self) -> None:
        with self.lock:
            for loop, bell in self._waiting:
                loop.call_soon_threadsafe(bell.set)

    def tick(self) -> None:
        with self.lock:
            self.plane.expire(monotonic())

    def ask(self, verb: str, body: bytes, *, last: bool) -> bytes | None:
        """None: nothing yet."""
        with self.lock:
            try:
                answer = self.plane.answer(verb, body, last=last)
            except DomainError as error:
                return Reply(refused=Refusal.of(error)).written()
            except ValidationError as error:
                return Reply(refused=Refusal.of(Invalid(str(error), code="INVALID_BODY"))).written()
            return None if answer is None else _accepted(answer)


class Bell:
    """Rings in the loop that it was made in."""

    def __init__(self, known: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]], lock: threading.RLock) -> None:
        self._one = asyncio.get_running_loop(), asyncio.Event()
        self._known = known
        self._lock = lock

    def __enter__(self) -> Bell:
        with self._lock:
            self._known.add(self._one)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._known.discard(self._one)

    async def rung(self) -> None:
        """Something happened, or some milliseconds are over."""
        bell = self._one[1]
        try:
            async with asyncio.timeout(LOOK_EVERY):
                await bell.wait()
        except TimeoutError:
            pass  # looked at again
        bell.clear()


class MemoryWire:
    """As Wire promises."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board

    async def run(self, hear: Hear) -> None:
        loop = asyncio.get_running_loop()

        def told(what: str, body: bytes) -> None:
            loop.call_soon_threadsafe(hear, what, body)

        self._board.hears.add(told)
        try:
            await asyncio.Event().wait()
        finally:
            self._board.hears.discard(told)

    async def ask(self, verb: str, body: bytes, seconds: float) -> bytes:
        loop = asyncio.get_running_loop()
        until = loop.time() + min(seconds, _wait_s(body) if verb in ("claim", "answer") else seconds)
        with self._board.waiting() as bell:
            while True:
                if self._board.away:
                    await asyncio.sleep(min(LOOK_EVERY, seconds))
                    raise AwayError("the bus is away")
                said = self._board.ask(verb, body, last=loop.time() >= until)
                if said is not None:
                    return self._arrived(said)
                await bell.rung()

    def _arrived(self, said: bytes) -> bytes:
        if self._board.losing:
            self._board.losing -= 1
            raise AwayError("the answer was lost")
        return said


class _Waits(Message):
    wait_s: float = 0.0


def _wait_s(body: bytes) -> float:
    try:
        return _Waits.model_validate_json(body).wait_s
    except ValidationError:
        return 0.0


def _accepted(answer: Message) -> bytes:
    return Reply(accepted=Accepted(seq=0, body=answer.model_dump(mode="json"))).written()
