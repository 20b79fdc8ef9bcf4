"""Asks the control plane, again while nobody answers, and reads what it says."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, TypeVar

from pydantic import ValidationError

from trunkline.contracts.agent import most_of
from trunkline.contracts.message import Message, Reply
from trunkline.sdk.agents.failing import AwayError, RefusedError
from trunkline.sdk.agents.wire import Wire
from trunkline.sdk.retrying import Patience

T = TypeVar("T", bound=Message)
log: Final = logging.getLogger("trunkline.agent")
TOLD_OF: Final = 2.5
"""Seconds of waiting that whoever runs the agent wants to know of."""
LEASE_LOST: Final = "LEASE_LOST"
UNAVAILABLE: Final = "unavailable"
RETRY_AFTER: Final = "retry_after"
TOO_MANY: Final = "TOO_MANY_AT_ONCE"
"""Another process of the same agent asks too."""
ONE_TRY: Final = 5.0
AT_ONCE: Final = 36
"""Questions under way, beside a claim, a beat and those that wait for people: the control plane takes 64 of one agent."""
WAITING: Final = 24
"""Questions under way of which the answer may take long."""
_BACKOFF: Final = Patience(first=0.1, longest=2.0)


class Door:
    """The verbs of an agent, asked of whoever is behind the wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._hands = asyncio.Semaphore(AT_ONCE)
        self._patient = asyncio.Semaphore(WAITING)

    @property
    def crowded(self) -> bool:
        """More wait for people than may wait at once: they take turns."""
        return self._patient.locked()

    async def ask(self, verb: str, wish: Message, answer: type[T], *, within: float) -> T:
        """The answer. Raises RefusedError; AwayError when there was none within so many seconds, over as many tries as fit."""
        loop = asyncio.get_running_loop()
        body, deadline, tries = wish.written(), loop.time() + within, 0
        while True:
            tries += 1
            try:
                return await self.once(verb, body, answer, min(ONE_TRY, max(deadline - loop.time(), 0.01)))
            except (AwayError, PassingError) as error:
                pause = max(_BACKOFF.backoff(tries, random.random()), getattr(error, "after", 0.0))
                if loop.time() + pause >= deadline:
                    raise
                if pause >= TOLD_OF:
                    log.warning("agent.waits", extra={"verb": verb, "seconds": round(pause, 1), "why": str(error)})
            await asyncio.sleep(pause)

    async def once(self, verb: str, body: bytes, answer: type[T], seconds: float) -> T:
        """One try. Raises RefusedError, AwayError."""
        if len(body) > (most := most_of(verb)):  # nats-server would close the connection, which other tasks speak by too
            raise RefusedError(f"{verb!r} has {len(body)} bytes, and {most} are taken: keep it elsewhere and tell where", "BODY_TOO_LARGE")
        async with self._lane(verb):
            said = await self._wire.ask(verb, body, seconds)
        try:
            reply = Reply.model_validate_json(said)
            if reply.accepted is not None:
                return answer.model_validate(reply.accepted.body)
        except ValidationError:
            raise AwayError(f"the answer to {verb!r} cannot be read: is this SDK of the same version as the control plane?") from None
        if reply.refused is None:
            raise AwayError(f"the answer to {verb!r} says nothing")
        refused = reply.refused
        if refused.kind == UNAVAILABLE or refused.code == TOO_MANY or RETRY_AFTER in refused.details:
            raise PassingError(refused.message, refused.code, _seconds(refused.details.get(RETRY_AFTER)))
        raise RefusedError(refused.message, refused.code)

    def _lane(self, verb: str) -> AbstractAsyncContextManager[object]:
        """A sign of life, and a claim, of which there is one, wait for nothing."""
        if verb in ("beat", "claim"):
            return nullcontext()
        return self._patient if verb == "answer" else self._hands


class PassingError(RefusedError):
    """Refused now, and perhaps not in `after` seconds."""

    def __init__(self, message: str, code: str, after: float) -> None:
        super().__init__(message, code)
        self.after = after


def _seconds(said: object) -> float:
    return min(float(said), 60.0) if isinstance(said, int | float) else 0.0
