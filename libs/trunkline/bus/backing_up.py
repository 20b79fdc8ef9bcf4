"""Writing down a running installation, in an order that leaves nothing undone.

First how far everybody has got, then what they made of it, and the log last. A fact that was acted on when the positions were read has
its effect in what is written after them; one that was not is acted on again after a restore, and effects bear that. Were the log first,
work would be missing that the log says was given out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from trunkline.bus.sealed_file import Json, SealedWriter
from trunkline.bus.snapshots import taking
from trunkline.bus.streams import EVENTS, MEMO, RESTORING, REVOKED, TIMERS, VAULT
from trunkline.bus.visiting import Visit
from trunkline.contracts.errors import Unavailable

LATE: Final = (TIMERS, VAULT, REVOKED)
"""What may have been put there for a fact that the log got while the backup ran; more of it than the log knows of does nothing."""
_MEMORY: Final = "memory"
_NOT_FOUND: Final = 10037


@dataclass(slots=True)
class Written:
    """What a backup holds."""

    epoch: str = ""
    last_seq: int = 0
    streams: dict[str, int] = field(default_factory=dict)
    """By name, how many messages."""
    ends: dict[str, int] = field(default_factory=dict)
    """By name, the last sequence that is in it."""
    late: int = 0
    bytes: int = 0

    def told(self) -> Json:
        return {"epoch": self.epoch, "last_seq": self.last_seq, "streams": self.streams, "late": self.late, "bytes": self.bytes}


async def back_up(visit: Visit, box: SealedWriter) -> Written:
    """Write every stream that is on disk, and how far each consumer has got. Raises NotFound NO_LOG, Unavailable, OSError."""
    written = await write_streams(visit, box)
    await write_late(visit, box, written)
    return written


async def write_streams(visit: Visit, box: SealedWriter) -> Written:
    """All but what came too late for it. Answers to requests come next to the log: one that tells of a task which is not in it is wrong."""
    life, written = await visit.life(), Written()
    names = [str(stream["config"]["name"]) for stream in await visit.streams() if stream["config"]["storage"] != _MEMORY]
    names = sorted((name for name in names if name not in (EVENTS, RESTORING)), key=lambda name: name == MEMO)
    for name in (*names, EVENTS):
        for consumer in await visit.consumers(name):
            done = consumer["ack_floor"]["stream_seq"]
            box.say({"consumer": consumer["name"], "at": name, "config": consumer["config"], "done": done})
    for name in names:
        written.ends[name] = await _stream(visit, box, name, written)
    written.epoch, written.last_seq = life.epoch, await _stream(visit, box, EVENTS, written)
    return written


async def write_late(visit: Visit, box: SealedWriter, written: Written) -> None:
    """What some streams got since."""
    for name in LATE:
        async for late in _late(visit, name, written.ends.get(name, 0)):
            written.late += 1
            box.say({"late": name, **late})


async def _stream(visit: Visit, box: SealedWriter, name: str, written: Written) -> int:
    """Returns its last sequence."""
    async with taking(visit.client, name) as (shot, chunks):
        box.say({"stream": name, "config": shot.config, "state": shot.state})
        async for chunk in chunks:
            written.bytes += box.write(chunk)
            await asyncio.sleep(0)
        box.say({"end": name})
    written.streams[name] = int(shot.state["messages"])
    return int(shot.state["last_seq"])


async def _late(visit: Visit, name: str, after: int) -> AsyncIterator[Json]:
    """What a stream got since its snapshot, as far as it is still there; not what comes while this is read, or there might be no end."""
    there = await visit.stream(name)
    last = there.state.last_seq if there else 0
    while after < last:
        said = await visit.asked(f"$JS.API.STREAM.MSG.GET.{name}", {"seq": after + 1, "next_by_subj": ">"})
        if error := said.get("error"):
            if error.get("err_code") == _NOT_FOUND:
                return
            raise Unavailable(f"nats-server does not give what came late ({error.get('description')}); try again", code="BACKUP_CUT")
        after = int(said["message"]["seq"])
        yield said["message"]
