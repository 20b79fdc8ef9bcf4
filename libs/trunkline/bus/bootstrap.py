"""Makes every stream and durable consumer that is declared, and brings up to date what an earlier version made: idempotent."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from nats.js import JetStreamContext, api
from nats.js.errors import APIError, BadRequestError, NotFoundError

from trunkline.bus.log_life import EARLIER, LogLife, read_earlier
from trunkline.bus.streams import CONSUMERS, EPOCH, EVENTS, RESTORING, RETIRED, SEAL, declared
from trunkline.contracts.errors import Conflict, Unavailable

_STREAM_EXISTS: Final = 10058


async def bootstrap(js: JetStreamContext, *, replicas: int, events_days: int) -> LogLife:
    """Make what is missing, bring up to date what an earlier version made, leave everything else as it is.

    Raises Unavailable for a log that is not ours, Conflict for one that is being restored.
    """
    await _restored(js)
    for config in declared(replicas, events_days):
        await _stream(js, config)
    for stream, name in RETIRED:
        await _retire(js, stream, name)
    for stream, consumer in CONSUMERS:
        await _consumer(js, stream, consumer)
    return await _life(js)


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


async def _stream(js: JetStreamContext, config: api.StreamConfig) -> None:
    assert config.name is not None
    try:
        await _brought_up(js, (await js.stream_info(config.name)).config, config)
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
