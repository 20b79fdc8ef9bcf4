"""Going back to an earlier version: what lies in lines is put where that version reads, which knows nothing of lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from trunkline.bus.deleting import delete
from trunkline.bus.patience import patiently
from trunkline.bus.publish import publish
from trunkline.bus.streams import WORK
from trunkline.bus.visiting import Visit
from trunkline.contracts import subjects

_NAME: Final = "Nats-Msg-Id"
_FORGOTTEN: Final = "Nats-TTL"
"""What has an end of its own waits for agents elsewhere: earlier sandbox services must not take it for theirs."""


@dataclass(slots=True)
class PutBack:
    """How much there was, by pool."""

    moved: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    """What waits for agents elsewhere: earlier versions kept nothing for them, and it lies until this one is there again."""


async def put_back(visit: Visit) -> PutBack:
    """All that lies in lines now, be it waiting or handed back by whoever carried it. Cut in the middle, it is done again.

    Raises NotFound NO_LOG, Conflict, Unavailable.
    """
    await visit.life()
    done = PutBack()
    async for message in _in_lines(visit):
        assert message.subject and message.seq
        pool, found = message.subject.split(".")[1], dict(message.headers or {})
        if _FORGOTTEN in found:
            done.left[pool] += 1
            continue
        # First there, then gone: cut between the two it lies in both, and whoever takes the second finds that it is taken.
        kept = {name: value for name, value in found.items() if name != _NAME}
        before = subjects.before_lines(message.subject)
        await publish(visit.answers, before, message.data or b"", id=f"put-back:{message.seq}", headers=kept)
        await _forget(visit, message.seq)
        done.moved[pool] += 1
    return done


async def _in_lines(visit: Visit) -> AsyncIterator[RawStreamMsg]:
    """Up to what is the last now: a router of this version that still runs would go on for ever."""
    last = (await patiently(lambda: visit.js.stream_info(WORK))).state.last_seq
    at = 0
    while at < last:
        try:
            found = await _next(visit, at + 1)
        except NotFoundError:
            return
        at = found.seq or last
        if at <= last:
            yield found


async def _next(visit: Visit, first: int) -> RawStreamMsg:
    """Raises NotFoundError, BusAway."""
    return await patiently(lambda: visit.js.get_msg(WORK, seq=first, subject=subjects.ALL_LINES, next=True))


async def _forget(visit: Visit, seq: int) -> None:
    await delete(visit.js, WORK, seq)
