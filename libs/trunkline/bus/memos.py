"""Memos: small things kept by a key for a day, each written only over what its writer has seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from trunkline.bus.answers import Answers
from trunkline.bus.away import BusAway
from trunkline.bus.deleting import delete
from trunkline.bus.heeding import heeding
from trunkline.bus.patience import patiently
from trunkline.bus.publish import Raced, publish
from trunkline.bus.streams import MEMO
from trunkline.contracts import subjects

WRITES_WITHIN: Final = 5.0
_FENCE: Final = "Nats-Expected-Last-Subject-Sequence"
_NAME: Final = "Nats-Msg-Id"


@dataclass(frozen=True, slots=True)
class Memo:
    """What lies under a key."""

    seq: int
    id: str
    """Who wrote it."""
    at: datetime
    """By the clock of nats-server."""
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Memos:
    """Every memo of the installation."""

    def __init__(self, answers: Answers, js: JetStreamContext, *, replicated: bool) -> None:
        self._answers = answers
        self._js = js
        self._replicated = replicated

    async def read(self, key: str) -> Memo | None:
        """What lies under `key`. Raises BusAway."""
        try:
            found = await patiently(lambda: self._js.get_last_msg(MEMO, subjects.memo(key), direct=not self._replicated))
        except NotFoundError:
            return None
        headers = dict(found.headers or {})
        assert found.time is not None
        return Memo(found.seq or 0, headers.get(_NAME, ""), found.time, found.data or b"", headers)

    async def write(self, key: str, body: bytes, headers: Mapping[str, str], *, expect: int, id: str) -> int:
        """Put a memo over the one with the sequence `expect`, 0 where none lies; returns its own. The same `id` again is the same write.

        Raises Raced when another lies there, or BusAway after some seconds.
        """
        try:
            async with asyncio.timeout(WRITES_WITHIN):
                return await publish(self._answers, subjects.memo(key), body, id=id, headers={**headers, _FENCE: str(expect)})
        except TimeoutError:
            raise BusAway("the bus did not confirm that it stored a memo", code="NOT_STORED") from None
        except Raced:
            # After a lost answer the other writer may be us.
            lies = await self.read(key)
            if lies and lies.id == id:
                return lies.seq
            raise

    async def forget(self, seq: int) -> None:
        """Take away the memo with this sequence; one that is gone is as good. Raises BusAway."""
        await delete(self._js, MEMO, seq)

    async def age(self, memo: Memo) -> float:
        """Seconds since it was written, both moments by the clock of nats-server. Raises BusAway."""
        answer = await patiently(lambda: heeding(self._answers.client.request(f"$JS.API.STREAM.INFO.{MEMO}", b"", timeout=5)))
        return (datetime.fromisoformat(json.loads(answer.data)["ts"]) - memo.at).total_seconds()
