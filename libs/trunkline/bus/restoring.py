"""Putting a backup back where there is nothing yet: all of it, or nobody may begin to work; a restore that was cut is begun again.

The log begins a new life: what clients were told before goes on being a place in it, and what the log lost since the backup never is.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from nats.js import api

from trunkline.bus.log_life import EARLIER, read_earlier, written_earlier
from trunkline.bus.publish import acknowledged
from trunkline.bus.sealed_file import Json, Piece
from trunkline.bus.snapshots import Shot, put_back
from trunkline.bus.streams import EPOCH, EVENTS, RESTORING
from trunkline.bus.visiting import Visit
from trunkline.contracts.errors import Conflict, Invalid, Unavailable

BACKUP: Final = "trunkline-backup"
"""In the metadata of the mark: which backup is being restored."""
_QUEUE: Final = ("workqueue", "interest")
_ORDERS: Final = ("Nats-Schedule", "Nats-Schedule-Target", "Nats-TTL")
"""Of the headers that mean something to nats-server, those that say what a message is to do."""


class TakesFiles(Protocol):
    """Where the files of a backup go."""

    def __call__(self, chunks: Iterator[bytes]) -> None: ...


@dataclass(slots=True)
class Restored:
    epoch: str = ""
    last_seq: int = 0
    messages: int = 0
    consumers: int = 0
    files: bool = False
    positions: list[Json] = field(default_factory=list)


async def restore(visit: Visit, pieces: Iterator[Piece], replicas: int, take: TakesFiles | None) -> Restored:
    """Put back all that was written. Raises Conflict NOT_EMPTY, Invalid, Exhausted, Unavailable."""
    first = next(pieces)
    if not isinstance(first, dict) or "backup" not in first:
        raise Invalid("the backup does not begin as one", code="BACKUP_DAMAGED")
    await _mark(visit, str(first["backup"]))
    done = Restored()
    for piece in pieces:
        if isinstance(piece, bytes):
            raise Invalid("the backup holds bytes that belong to nothing", code="BACKUP_DAMAGED")
        await _part(visit, (piece, pieces), (replicas, take), done)
    await visit.js.delete_stream(RESTORING)
    return done


async def _part(visit: Visit, part: tuple[Json, Iterator[Piece]], way: tuple[int, TakesFiles | None], done: Restored) -> None:
    (what, pieces), (replicas, take) = part, way
    if "consumer" in what:
        done.positions.append(what)
    elif "late" in what:
        await _put_late(visit, what)
    elif "files" in what:
        chunks = _content(pieces)
        if take:
            take(chunks)
            done.files = True
        for _ in chunks:
            pass
    elif "stream" in what:
        shot = Shot(what["config"], what["state"])
        state = await put_back(visit.client, shot, _feeding(_content(pieces)), replicas)
        done.messages += int(state["messages"])
        if shot.name == EVENTS:
            done.last_seq = int(state["last_seq"])
            done.epoch = await _begin_life(visit, done.last_seq)
        await _consumers(visit, shot, done)


def _content(pieces: Iterator[Piece]) -> Iterator[bytes]:
    """The bytes of one part, to its end."""
    for piece in pieces:
        if isinstance(piece, dict):
            if "end" not in piece:
                raise Invalid("a part of the backup has no end", code="BACKUP_DAMAGED")
            return
        yield piece


async def _feeding(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _mark(visit: Visit, backup: str) -> None:
    """From here on no service starts. What an earlier try left is taken away. Raises Conflict NOT_EMPTY."""
    there = [str(stream["config"]["name"]) for stream in await visit.streams()]
    mark = await visit.stream(RESTORING)
    begun = (mark.config.metadata or {}).get(BACKUP) if mark else None
    if there and begun != backup:
        why = "another backup was begun to be restored" if begun else f"it holds {len(there)} streams, {', '.join(sorted(there)[:3])} …"
        message = f"A backup is only restored where there is nothing: {why}. Name an empty place, or empty this one."
        raise Conflict(message, code="NOT_EMPTY")
    if not mark:
        words = f"A backup is being restored; {EVENTS} and all others are not whole yet."
        await visit.js.add_stream(
            api.StreamConfig(name=RESTORING, description=words, subjects=[RESTORING.lower()], metadata={BACKUP: backup})
        )
    for name in there:
        if name != RESTORING:
            await visit.js.delete_stream(name)


async def _begin_life(visit: Visit, last_seq: int) -> str:
    """A new name for the log, under which all places of the old one up to now are found. Returns it."""
    config: Json = (await visit.asked(f"$JS.API.STREAM.INFO.{EVENTS}", {}))["config"]
    metadata = dict(config.get("metadata") or {})
    earlier = written_earlier(read_earlier(metadata.get(EARLIER, "")), (metadata[EPOCH], last_seq))
    epoch = secrets.token_hex(4)
    metadata |= {EPOCH: epoch, EARLIER: earlier}
    said = await visit.asked(f"$JS.API.STREAM.UPDATE.{EVENTS}", {**config, "metadata": metadata})
    _refused(said, EVENTS)
    return epoch


async def _consumers(visit: Visit, shot: Shot, done: Restored) -> None:
    """Each goes on behind what it was done with; of a queue nothing is left that somebody was done with."""
    for position in done.positions:
        if position["at"] != shot.name:
            continue
        config: dict[str, Any] = {**position["config"], "num_replicas": 0, "metadata": {}}
        if shot.config.get("retention") not in _QUEUE:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": min(int(position["done"]), int(shot.state["last_seq"])) + 1}
        wish = {"stream_name": shot.name, "config": config, "action": "create"}
        _refused(await visit.asked(f"$JS.API.CONSUMER.CREATE.{shot.name}.{position['consumer']}", wish), position["consumer"])
        done.consumers += 1


async def _put_late(visit: Visit, late: Json) -> None:
    headers = dict(_headers(base64.b64decode(late.get("hdrs") or b"")))
    body = base64.b64decode(late.get("data") or b"")
    await acknowledged(visit.answers, late["subject"], body, id=f"late:{late['late']}:{late['seq']}", headers=headers)


def _headers(block: bytes) -> Iterator[tuple[str, str]]:
    for line in block.decode().split("\r\n")[1:]:
        name, colon, text = line.partition(":")
        if colon and (name in _ORDERS or not name.startswith("Nats-")):
            yield name, text.strip()


def _refused(said: Json, what: str) -> None:
    """Raises Unavailable."""
    if error := said.get("error"):
        raise Unavailable(f"nats-server refuses {what}: {error.get('description')}", code="NOT_RESTORED")
