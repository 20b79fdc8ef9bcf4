"""Remembers answers on the bus: a request is claimed before it is worked on, and answered from memory when it comes again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from trunkline.bus import Memo, Memos, Raced
from trunkline.contracts.errors import Conflict, Unavailable, Unsupported
from trunkline_gateway.adapters.loose_ends import LooseEnd, LooseEnds
from trunkline_gateway.ports import Claim, Kept

log = structlog.get_logger()

LEASE: Final = 15.0
"""Seconds after which whoever works on a request counts as gone; none of ours works so long on one, and who goes on has the same ids."""
SELDOM: Final = 5.0
"""Whoever is told to ask again waits so many times as long as the work has lasted: each asking counts against its limit."""
CLAIMS_WITHIN: Final = 6.0
"""Seconds: whoever asks waits ten, and wants to be told."""
ENDS_WITHIN: Final = 1.0
"""Seconds that an answer waits until it is kept; what takes longer is a loose end."""
_STATE: Final = "Trunkline-State"
_DIGEST: Final = "Trunkline-Digest"
_SEED: Final = "Trunkline-Seed"
_STATUS: Final = "Trunkline-Status"
_TYPE: Final = "Trunkline-Type"
CLAIMED, OPEN, ANSWERED = "claimed", "open", "answered"


@dataclass(frozen=True, slots=True)
class BusMemory:
    """`new_id` mints names that nobody else has; `lease` in seconds."""

    memos: Memos
    new_id: Callable[[], str]
    lease: float = LEASE
    _loose: LooseEnds = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_loose", LooseEnds(self.lease))

    async def claim(self, key: str, digest: str) -> Claim | Kept:
        try:
            async with asyncio.timeout(CLAIMS_WITHIN):
                return await self._claimed(key, digest)
        except TimeoutError:
            raise Unavailable("the bus does not answer; try again in a moment", code="BUS_AWAY") from None

    async def keep(self, claim: Claim, answer: Kept) -> None:
        await self._end(LooseEnd(claim, answer=answer))

    async def reopen(self, claim: Claim) -> None:
        await self._end(LooseEnd(claim))

    async def forget(self, claim: Claim) -> None:
        await self._end(LooseEnd(claim, free=True))

    async def tie_loose_ends(self) -> None:
        """For ever: what could not be ended when it was over is ended when the bus is back."""
        await self._loose.tie(self._tied)

    async def _claimed(self, key: str, digest: str) -> Claim | Kept:
        try:
            return await self._taken(Claim(key, digest, self.new_id(), 0, self.new_id()))
        except Raced:
            lies = await self.memos.read(key)
        if lies is None:  # it was forgotten this very moment
            raise _in_progress()
        known = self._loose.of(lies.id)
        if known and known.free:
            return await self._over(Claim(key, digest, self.new_id(), lies.seq, self.new_id()))
        if lies.headers.get(_DIGEST) != digest:
            message = "this Idempotency-Key was used with another body; a new request needs a new key"
            raise Unsupported(message, code="IDEMPOTENCY_KEY_REUSED")
        return await self._repeated(key, lies, known)

    async def _repeated(self, key: str, lies: Memo, known: LooseEnd | None) -> Claim | Kept:
        state = lies.headers.get(_STATE)
        if state == ANSWERED:
            return Kept(int(lies.headers[_STATUS]), lies.body, lies.headers[_TYPE])
        if known and known.answer:
            return known.answer
        if state == CLAIMED and known is None and (age := await self.memos.age(lies)) < self.lease:
            raise _in_progress(again_in(age, self.lease))
        return await self._over(Claim(key, lies.headers[_DIGEST], lies.headers[_SEED], lies.seq, self.new_id()), begun=True)

    async def _over(self, wanted: Claim, *, begun: bool = False) -> Claim:
        try:
            return await self._taken(wanted, begun=begun)
        except Raced:
            raise _in_progress() from None

    async def _taken(self, wanted: Claim, *, begun: bool = False) -> Claim:
        """`wanted` over what lies at its `seq`; `begun` where that may have been worked on. Raises Raced, Unavailable."""
        headers = {_STATE: CLAIMED, _DIGEST: wanted.digest, _SEED: wanted.seed}
        try:
            seq = await self.memos.write(wanted.key, b"", headers, expect=wanted.seq, id=wanted.id)
        except Raced:
            raise
        except BaseException:  # it may be stored all the same, now or when the bus is back
            self._loose.leave(LooseEnd(wanted, free=not begun, arrived=False))
            raise
        return replace(wanted, seq=seq)

    async def _end(self, end: LooseEnd) -> None:
        """The work is done whatever becomes of this; what cannot be ended now is left for later."""
        try:
            async with asyncio.timeout(ENDS_WITHIN):
                await self._ended(end, end.claim.seq)
        except (TimeoutError, Unavailable):
            self._loose.leave(end)
            log.warning("memory.left_for_later", seq=end.claim.seq)
        except asyncio.CancelledError:
            self._loose.leave(end)
            raise

    async def _tied(self, end: LooseEnd) -> None:
        """Raises Unavailable."""
        if seq := end.claim.seq if end.arrived else await self._found(end.claim):
            await self._ended(end, seq)

    async def _found(self, claim: Claim) -> int:
        """Where a claim lies that nobody waited for; 0 where another has the key. To look is not enough: it may arrive after that. Where it
        was to lie something else is put, so that it cannot. Raises Unavailable."""
        headers = {_STATE: OPEN, _DIGEST: claim.digest, _SEED: claim.seed}
        try:
            return await self.memos.write(claim.key, b"", headers, expect=claim.seq, id=f"{claim.id}.found")
        except Raced:
            lies = await self.memos.read(claim.key)
        return lies.seq if lies and lies.id == claim.id else 0

    async def _ended(self, end: LooseEnd, seq: int) -> None:
        if end.free:
            await self.memos.forget(seq)
            return
        claim, answer = end.claim, end.answer
        said = {_STATUS: str(answer.status), _TYPE: answer.type} if answer else {}
        headers = {_STATE: ANSWERED if answer else OPEN, _DIGEST: claim.digest, _SEED: claim.seed, **said}
        try:
            await self.memos.write(claim.key, answer.body if answer else b"", headers, expect=seq, id=f"{claim.id}.end")
        except Raced:
            log.warning("memory.taken_over", seq=seq)


def again_in(age: float, lease: float) -> int:
    """Whole seconds after which the answer may be there, when work on it began `age` seconds ago: at the latest when its lease is over."""
    return max(1, math.ceil(min(SELDOM * age, lease - age)))


def _in_progress(seconds: int = 1) -> Conflict:
    message = f"a request with this Idempotency-Key is being worked on; ask again in {seconds} second{'' if seconds == 1 else 's'}"
    return Conflict(f"{message} for its answer", code="IN_PROGRESS", retry_after=seconds)
