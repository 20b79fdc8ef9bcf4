"""Remembers answers on the bus: a request is claimed before it is worked on, and answered from memory when it comes again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from trunkline.bus import Memo, Memos, Raced
from trunkline.contracts.errors import Conflict, Unavailable, Unsupported
from trunkline_gateway.ports import Claim, Kept

log = structlog.get_logger()

LEASE: Final = 60.0
"""Seconds after which whoever works on a request counts as gone; none of ours works half as long on one."""
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

    async def claim(self, key: str, digest: str) -> Claim | Kept:
        try:
            return await self._taken(key, digest, self.new_id(), 0)
        except Raced:
            lies = await self.memos.read(key)
        if lies is None:  # it was forgotten this very moment
            raise _in_progress()
        if lies.headers.get(_DIGEST) != digest:
            message = "this Idempotency-Key was used with another body; a new request needs a new key"
            raise Unsupported(message, code="IDEMPOTENCY_KEY_REUSED")
        return await self._repeated(key, lies)

    async def keep(self, claim: Claim, answer: Kept) -> None:
        said = {_STATUS: str(answer.status), _TYPE: answer.type}
        await self._end(claim, ANSWERED, answer.body, said)

    async def reopen(self, claim: Claim) -> None:
        await self._end(claim, OPEN)

    async def forget(self, claim: Claim) -> None:
        try:
            await self.memos.forget(claim.seq)
        except Unavailable as error:
            log.warning("memory.not_forgotten", code=error.code)

    async def _repeated(self, key: str, lies: Memo) -> Claim | Kept:
        state = lies.headers.get(_STATE)
        if state == ANSWERED:
            return Kept(int(lies.headers[_STATUS]), lies.body, lies.headers[_TYPE])
        if state == CLAIMED and await self.memos.age(lies) < self.lease:
            raise _in_progress()
        try:
            return await self._taken(key, lies.headers[_DIGEST], lies.headers[_SEED], lies.seq)
        except Raced:
            raise _in_progress() from None

    async def _taken(self, key: str, digest: str, seed: str, over: int) -> Claim:
        headers = {_STATE: CLAIMED, _DIGEST: digest, _SEED: seed}
        seq = await self.memos.write(key, b"", headers, expect=over, id=self.new_id())
        return Claim(key, digest, seed, seq)

    async def _end(self, claim: Claim, state: str, body: bytes = b"", said: Mapping[str, str] | None = None) -> None:
        """The work is done whatever becomes of this; without it the claim stands until its lease is over."""
        headers = {_STATE: state, _DIGEST: claim.digest, _SEED: claim.seed, **(said or {})}
        try:
            await self.memos.write(claim.key, body, headers, expect=claim.seq, id=self.new_id())
        except Raced:
            log.warning("memory.taken_over", seq=claim.seq)
        except Unavailable as error:
            log.warning("memory.not_kept", state=state, code=error.code)


def _in_progress() -> Conflict:
    message = "a request with this Idempotency-Key is being worked on; ask again in a second for its answer"
    return Conflict(message, code="IN_PROGRESS", retry_after=1)
