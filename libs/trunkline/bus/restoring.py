"""Putting a backup back where there is nothing yet: all of it, or nobody may begin to work; a restore that was cut is begun again.

The log begins a new life: what clients were told before goes on being a place in it, and what the log lost since the backup never is.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from nats.js import api
from nats.js.api import StreamInfo
from nats.js.errors import APIError, BadRequestError, NotFoundError

from trunkline.bus.bootstrap import refusal
from trunkline.bus.log_life import EARLIER, read_earlier, written_earlier
from trunkline.bus.patience import patiently
from trunkline.bus.publish import acknowledged
from trunkline.bus.sealed_file import Json, Piece
from trunkline.bus.snapshots import Shot, put_back
from trunkline.bus.streams import EPOCH, EVENTS, RESTORING
from trunkline.bus.visiting import Visit
from trunkline.contracts.errors import Conflict, Invalid, Unavailable

BACKUP: Final = "trunkline-backup"
"""In the metadata of the mark: which backup is being restored. In those of the log: which it was made from."""
COPIES: Final = 3
"""Of the mark in a cluster."""
TRIES: Final = 12
"""Some 20 s: longer than nats-server waits for somebody who has stopped sending."""
_QUEUE: Final = ("workqueue", "interest")
_ORDERS: Final = ("Nats-Schedule", "Nats-Schedule-Target", "Nats-TTL")
"""Of the headers that mean something to nats-server, those that say what a message is to do."""


class TakesFiles(Protocol):
    """Where the files of a backup go."""

    def __call__(self, chunks: Iterator[bytes]) -> None: ...


@dataclass(slots=True)
class Restored:
    backup: str = ""
    already: bool = False
    """An earlier try came to its end: nothing was done."""
    epoch: str = ""
    last_seq: int = 0
    messages: int = 0
    consumers: int = 0
    files: bool = False
    positions: list[Json] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """Where it goes."""

    visit: Visit
    replicas: int
    """How many servers are to hold each stream; 0: as many as in the place that the backup is from."""
    take: TakesFiles | None
    again: bool = False
    """An earlier try of the same was cut: what it left may be half made, and seen by nobody."""

    def copies(self, shot: Shot) -> int:
        return self.replicas or int(shot.config.get("num_replicas") or 1)


async def restore(visit: Visit, pieces: Iterator[Piece], replicas: int, take: TakesFiles | None) -> Restored:
    """Put back all that was written; 0 `replicas`: as many as it had. Raises Conflict NOT_EMPTY, Invalid, Exhausted, Unavailable."""
    first = next(pieces)
    if not isinstance(first, dict) or "backup" not in first:
        raise Invalid("the backup does not begin as one", code="BACKUP_DAMAGED")
    backup = str(first["backup"])
    if already := await _already(visit, backup):
        return already
    try:
        return await _all(await _marked(Target(visit, replicas, take), backup), pieces, Restored(backup=backup))
    except APIError as error:
        raise refusal(error, replicas) from error


async def _all(target: Target, pieces: Iterator[Piece], done: Restored) -> Restored:
    for piece in pieces:
        if isinstance(piece, bytes):
            raise Invalid("the backup holds bytes that belong to nothing", code="BACKUP_DAMAGED")
        await _part(target, piece, pieces, done)
    await _delete(target.visit, RESTORING)
    return done


async def _part(target: Target, what: Json, pieces: Iterator[Piece], done: Restored) -> None:
    if "consumer" in what:
        done.positions.append(what)
    elif "late" in what:
        await _put_late(target.visit, what)
    elif "files" in what:
        done.files = _files(pieces, target.take)
    elif "stream" in what:
        await _stream(target, Shot(what["config"], what["state"]), _content(pieces), done)


def _files(pieces: Iterator[Piece], take: TakesFiles | None) -> bool:
    chunks = _content(pieces)
    if take:
        take(chunks)
    for _ in chunks:
        pass
    return take is not None


def put_files(pieces: Iterator[Piece], take: TakesFiles) -> bool:
    """Those of a backup alone; False where it has none. Raises Invalid, OSError."""
    return any(isinstance(piece, dict) and "files" in piece and _files(pieces, take) for piece in pieces)


async def _stream(target: Target, shot: Shot, chunks: Iterator[bytes], done: Restored) -> None:
    if target.again:
        await _clear(target.visit, shot.name)
    state = await put_back(target.visit.client, shot, _feeding(chunks), target.copies(shot))
    done.messages += int(state["messages"])
    if shot.name == EVENTS:
        done.last_seq = int(state["last_seq"])
        done.epoch = await _begin_life(target.visit, done)
    await _consumers(target.visit, shot, done)


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


async def _already(visit: Visit, backup: str) -> Restored | None:
    """What came of an earlier try that was cut only behind its end. Raises Conflict NOT_EMPTY where the log has gone on since."""
    log = await visit.stream(EVENTS)
    metadata = (log.config.metadata if log else None) or {}
    if log is None or metadata.get(BACKUP) != backup or await visit.stream(RESTORING):
        return None
    if log.state.last_seq != read_earlier(metadata[EARLIER])[-1][1]:
        message = "This very backup was restored here, to its end, and the log has gone on since. Name an empty place, or empty this one."
        raise Conflict(message, code="NOT_EMPTY")
    return Restored(backup, True, metadata[EPOCH], log.state.last_seq)


async def _marked(target: Target, backup: str) -> Target:
    """From here on no service starts. What an earlier try left is taken away. Raises Conflict NOT_EMPTY."""
    visit = target.visit
    there = [str(stream["config"]["name"]) for stream in await visit.streams()]
    found = await visit.stream(RESTORING)
    begun = (found.config.metadata or {}).get(BACKUP) if found else None
    if there and begun != backup:
        why = "another backup was begun to be restored" if begun else f"it holds {len(there)} streams, {', '.join(sorted(there)[:3])} …"
        message = f"A backup is only restored where there is nothing: {why}. Name an empty place, or empty this one."
        raise Conflict(message, code="NOT_EMPTY")
    if found:
        for name in there:
            if name != RESTORING:
                await _delete(visit, name)
        return replace(target, replicas=target.replicas or _alone(found), again=True)
    replicas = target.replicas or _alone(await _clear(visit, RESTORING))
    words = f"A backup is being restored; {EVENTS} and all others are not whole yet."
    mark = api.StreamConfig(name=RESTORING, description=words, subjects=[RESTORING.lower()], metadata={BACKUP: backup})
    await _make(visit, mark.evolve(num_replicas=replicas or COPIES))
    return replace(target, replicas=replicas)


def _alone(stream: StreamInfo) -> int:
    """1 where there is one server and no more; else as many as each stream had."""
    return 0 if stream.cluster else 1


async def _clear(visit: Visit, name: str) -> StreamInfo:
    """No stream of that name is there, nor what nats-server has left of one that it was killed over while it made it.

    Of such a one it does not tell, and whoever makes it anew has one that is gone with the next start; but it deletes all of it.
    Returns what was there for a moment.
    """
    for attempt in range(TRIES):
        with suppress(BadRequestError):  # what an earlier try had handed over whole may become a stream only now
            made = await _make(visit, api.StreamConfig(name=name, subjects=[f"{RESTORING.lower()}.{name}"]))
            await _delete(visit, name)
            return made
        await _delete(visit, name)
        await asyncio.sleep(min(0.1 * 2**attempt, 2.0))
    raise Unavailable(f"nats-server is still busy with {name} of an earlier try; try again in a minute", code="NOT_RESTORED")


async def _make(visit: Visit, config: api.StreamConfig) -> StreamInfo:
    return await patiently(lambda: visit.js.add_stream(config))


async def _delete(visit: Visit, name: str) -> None:
    with suppress(NotFoundError):
        await patiently(lambda: visit.js.delete_stream(name))


async def _begin_life(visit: Visit, done: Restored) -> str:
    """A new name for the log, under which all places of the old one up to now are found. Returns it."""
    config: Json = (await visit.asked(f"$JS.API.STREAM.INFO.{EVENTS}", {}))["config"]
    metadata = dict(config.get("metadata") or {})
    earlier = written_earlier(read_earlier(metadata.get(EARLIER, "")), (metadata[EPOCH], done.last_seq))
    epoch = secrets.token_hex(4)
    metadata |= {EPOCH: epoch, EARLIER: earlier, BACKUP: done.backup}
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
