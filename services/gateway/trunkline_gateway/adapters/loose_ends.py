"""Claims that could not be ended because the bus stood still: known here for what they are, and ended as soon as it is back."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from trunkline.contracts.errors import Unavailable
from trunkline_gateway.ports import Claim, Kept

log = structlog.get_logger()

MOST: Final = 2_000
"""Claims; beyond them the oldest are forgotten here, and end by their lease as those of a gateway that died."""
ANSWER_AT_MOST: Final = 16 << 10
"""Bytes of an answer that is held until it can be kept. After a larger one the request is worked on again."""
PAUSE: Final = 0.5
"""Seconds until the bus is asked again."""


@dataclass(frozen=True, slots=True)
class LooseEnd:
    """How a claim is to end. Neither free nor answered: nobody knows what was done."""

    claim: Claim
    free: bool = False
    """Nothing was begun under it."""
    arrived: bool = True
    """Whether it lies there; else nobody waited for that any more, and its `seq` is of what it was to lie over."""
    answer: Kept | None = None
    left_at: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        return len(self.answer.body) if self.answer else 0


class LooseEnds:
    """`lease`: seconds after which anybody may take a claim over, and none of this is needed."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._known: OrderedDict[str, LooseEnd] = OrderedDict()
        self._waiting: asyncio.Queue[LooseEnd] = asyncio.Queue(MOST)

    def leave(self, end: LooseEnd) -> None:
        """For `tie`; meanwhile `of` knows it."""
        if end.size > ANSWER_AT_MOST:
            end = LooseEnd(end.claim)
        self._forget_old()
        self._known[end.claim.id] = end
        if not self._waiting.full():
            self._waiting.put_nowait(end)

    def of(self, id: str) -> LooseEnd | None:
        """What is known of the claim that was written by this id: one may arrive long after it was given up."""
        return self._known.get(id)

    async def tie(self, one: Callable[[LooseEnd], Awaitable[None]]) -> None:
        """For ever: each once the bus takes it, the oldest first."""
        while True:
            end = await self._waiting.get()
            while not self._is_old(end):
                try:
                    await one(end)
                    break
                except Unavailable:
                    await asyncio.sleep(PAUSE * random.uniform(0.5, 1.5))
                except Exception:  # the lease ends it too, and no gateway is to end for it
                    log.exception("memory.not_tied")
                    break

    def _is_old(self, end: LooseEnd) -> bool:
        return time.monotonic() - end.left_at > self._lease

    def _forget_old(self) -> None:
        while self._known and (len(self._known) >= MOST or self._is_old(next(iter(self._known.values())))):
            self._known.popitem(last=False)
