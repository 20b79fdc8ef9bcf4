"""Streams as nats-server itself gives them away and takes them back: every message with its sequence, its time and its headers.

nats-py knows no call for it, so this speaks the wire: a request, chunks that are answered one by one, and an empty one at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from trunkline.contracts.errors import DomainError, Exhausted, Unavailable

CHUNK: Final = 128 << 10
WINDOW: Final = 4 << 20
"""Bytes that nats-server sends before it waits for an answer: all of it that we ever hold."""
SILENCE: Final = 20.0
"""Seconds without a word of nats-server after which it counts as away."""
TAKE_IN: Final = 600.0
"""For the last step of a restore, in which nats-server reads the whole stream again."""
_NO_ROOM: Final = (10047, 10023, 10077)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shot:
    """A stream as it was at one moment; its messages come beside it."""

    config: Json
    state: Json

    @property
    def name(self) -> str:
        return str(self.config["name"])

    @property
    def expires(self) -> bool:
        """Whether its messages may have gone since, by their age."""
        return bool(self.config.get("max_age") or self.config.get("allow_msg_ttl"))


@asynccontextmanager
async def taking(client: Client, stream: str) -> AsyncIterator[tuple[Shot, AsyncIterator[bytes]]]:
    """A stream and its content as it is now, without its consumers. Raises Unavailable when it does not come whole."""
    chunks: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, cb=chunks.put, pending_bytes_limit=8 * WINDOW)
    try:
        await client.flush(timeout=5)
        wish = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": CHUNK, "window_size": WINDOW, "jsck": True}
        told = await _asked(client, f"$JS.API.STREAM.SNAPSHOT.{stream}", orjson.dumps(wish), SILENCE)
        yield Shot(_ours(told["config"]), told["state"]), _chunks(client, stream, chunks)
    finally:
        with suppress(NatsError):
            await subscription.unsubscribe()


async def _chunks(client: Client, stream: str, chunks: asyncio.Queue[Msg]) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(SILENCE):
                message = await chunks.get()
        except TimeoutError:
            raise Unavailable(f"nats-server went silent while it gave the stream {stream}; try again", code="BACKUP_CUT") from None
        if not message.data:
            status = (message.headers or {}).get("Status", "204")
            if status != "204":
                said = (message.headers or {}).get("Description", "")
                raise Unavailable(f"nats-server broke off the stream {stream} ({status} {said}); try again", code="BACKUP_CUT")
            return
        yield message.data
        if message.reply:  # only now: what is on its way is bounded by what was written
            await client.publish(message.reply, b"")


async def put_back(client: Client, shot: Shot, chunks: AsyncIterator[bytes], replicas: int) -> Json:
    """Make the stream anew out of its chunks; it is there whole or not at all. Returns its state.

    Raises Exhausted without room, Unavailable when nats-server does not take it.
    """
    wish = {"config": _for(shot.config, replicas), "state": shot.state}
    begun = await _asked(client, f"$JS.API.STREAM.RESTORE.{shot.name}", orjson.dumps(wish), SILENCE)
    where = str(begun["deliver_subject"])
    async for chunk in chunks:
        await _asked(client, where, chunk, SILENCE)
    made = await _asked(client, where, b"", TAKE_IN)
    state: Json = made["state"]
    whole = state["last_seq"] == shot.state["last_seq"] and (shot.expires or state["messages"] == shot.state["messages"])
    if not whole:
        raise Unavailable(f"the stream {shot.name} did not become what it was ({state['messages']} messages)", code="NOT_RESTORED")
    return state


def _for(config: Json, replicas: int) -> Json:
    """As it may be on so many servers: what several hold is stored by each before it is acknowledged."""
    left_out = ("persist_mode",) if replicas > 1 else ()
    return {**{name: value for name, value in config.items() if name not in left_out}, "num_replicas": replicas}


def _ours(config: Mapping[str, Any]) -> Json:
    """Without what a server notes for itself."""
    metadata = {name: text for name, text in (config.get("metadata") or {}).items() if not name.startswith("_nats.")}
    return {**config, "metadata": metadata}


async def _asked(client: Client, subject: str, body: bytes, within: float) -> Json:
    """Raises Conflict, Exhausted, Unavailable."""
    try:
        said = (await client.request(subject, body, timeout=within)).data
    except (NatsError, TimeoutError) as error:
        raise Unavailable(f"nats-server does not answer ({type(error).__name__}); try again", code="BUS_AWAY") from error
    answer: Json = orjson.loads(said) if said else {}
    if problem := answer.get("error"):
        raise _refusal(problem)
    return answer


def _refusal(problem: Json) -> DomainError:
    why = str(problem.get("description", "it does not say why"))
    if "already in use" in why:
        return Unavailable(f"somebody else makes streams here, or an earlier try still does ({why}); try again", code="NOT_RESTORED")
    if problem.get("err_code") in _NO_ROOM or "no space" in why or "insufficient" in why:
        return Exhausted(f"nats-server has no room for it ({why}). Free some space, or raise nats_store_limit.", code="DISK_FULL")
    return Unavailable(f"nats-server refuses: {why}", code="NOT_RESTORED")
