"""Makes every stream and durable consumer that is declared, and brings up to date what an earlier version made: idempotent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, BadRequestError, NotFoundError

from trunkline.bus.in_memory import KEPT, made
from trunkline.bus.line_consumers import bring_up
from trunkline.bus.log_life import EARLIER, LogLife, read_earlier
from trunkline.bus.streams import CONSUMERS, EPOCH, EVENTS, RESTORING, RETIRED, SEAL, declared
from trunkline.contracts.errors import Conflict, DomainError, Unavailable, Unsupported

_STREAM_EXISTS: Final = 10058
_NO_CLUSTER: Final = 10074


async def bootstrap(client: Client, js: JetStreamContext, *, replicas: int, events_days: int) -> LogLife:
    """Make what is missing, bring up to date what an earlier version made, leave everything else as it is.

    What is there is asked for in a few lists: a question for each would be half of what a start takes.

    Raises Unavailable for a log that is not ours, Conflict for one that is being restored.
    """
    await _restored(js)
    listed = {info.config.name: info.config for info in await js.streams_info()}
    for config in declared(replicas, events_days):
        await _stream(js, config, listed)
    for stream, name in RETIRED:
        await _retire(js, stream, name)
    await bring_up(client)
    known = {stream: await _consumers(client, stream) for stream in {stream for stream, _ in CONSUMERS} - {*KEPT}}
    for stream, consumer in CONSUMERS:
        if stream not in KEPT and consumer.name not in known[stream]:
            await _consumer(js, stream, consumer)
    await made(js, life := await _life(js))
    return life


def refusal(error: APIError, replicas: int) -> DomainError:
    """What nats-server said, as somebody who can do something about it reads it."""
    if error.err_code == _NO_CLUSTER:
        message = f"this nats-server is no cluster and keeps one copy, not {replicas}: set replicas to 1, or make it one of three servers"
        return Unsupported(message, code="NO_CLUSTER")
    return Unavailable(f"nats-server does not make what Trunkline keeps there: {error.description or error}", code="STORE_REFUSED")


async def _life(js: JetStreamContext) -> LogLife:
    """Raises Unavailable when the log was not made by us."""
    config = (await js.stream_info(EVENTS)).config
    metadata = config.metadata or {}
    if EPOCH not in metadata:
        raise Unavailable("the stream EVENTS was not made by Trunkline; give Trunkline a nats account of its own", code="FOREIGN_STREAM")
    return LogLife(metadata[EPOCH], metadata[SEAL].encode(), config.num_replicas or 1, read_earlier(metadata.get(EARLIER, "")))


async def _restored(js: JetStreamContext) -> None:
    """Raises Conflict while a restore is not finished: whoever began to work now would work on half a log."""
    with suppress(NotFoundError):
        await js.stream_info(RESTORING)
        raise Conflict(
            "a backup is being restored here, or was not restored to its end: run `trunkline restore` again", code="RESTORE_UNFINISHED"
        )


async def _consumers(client: Client, stream: str) -> frozenset[str]:
    """The names of a stream's consumers, as far as one answer holds them; those beyond are asked for one by one."""
    said = json.loads((await client.request(f"$JS.API.CONSUMER.NAMES.{stream}", b"", timeout=5)).data)
    return frozenset(said.get("consumers") or ())


async def _stream(js: JetStreamContext, config: api.StreamConfig, listed: Mapping[str | None, api.StreamConfig]) -> None:
    assert config.name is not None
    try:
        await _brought_up(js, listed.get(config.name) or (await js.stream_info(config.name)).config, config)
    except NotFoundError:
        try:
            await js.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _STREAM_EXISTS:  # another service was first, with its own epoch: theirs counts
                raise


async def _brought_up(js: JetStreamContext, there: api.StreamConfig, wanted: api.StreamConfig) -> None:
    """Adds what an earlier version did not know; what somebody chose otherwise (replicas, ages) stays. The epoch is never changed."""
    metadata = {**{name: text for name, text in (wanted.metadata or {}).items() if name == SEAL}, **(there.metadata or {})}
    ours = there.name != EVENTS or EPOCH in metadata
    told = there.evolve(
        metadata=metadata, republish=wanted.republish or there.republish, allow_msg_ttl=wanted.allow_msg_ttl or there.allow_msg_ttl
    )
    known = (there.metadata or {}, there.republish, bool(there.allow_msg_ttl))
    if ours and known != (metadata, told.republish, bool(told.allow_msg_ttl)):
        await js.update_stream(told)


async def _retire(js: JetStreamContext, stream: str, name: str) -> None:
    with suppress(NotFoundError):
        await js.delete_consumer(stream, name)


async def _consumer(js: JetStreamContext, stream: str, config: api.ConsumerConfig) -> None:
    assert config.name is not None
    try:
        await js.consumer_info(stream, config.name)
    except NotFoundError:
        try:
            await js.add_consumer(stream, config)
        except APIError as error:
            if error.code != 400:
                raise
            await js.consumer_info(stream, config.name)
