"""Consumers of a log on several servers keep in memory how far they are: nothing is synced for a delivery or an acknowledgement."""

from __future__ import annotations

from typing import Final

from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from trunkline.bus.log_life import LogLife
from trunkline.bus.streams import CONSUMERS, EVENTS, TIMERS
from trunkline.contracts import subjects

KEPT: Final = (EVENTS, TIMERS)
"""Streams whose consumers are so kept: what was done lies there no more, or is noted on disk beside it."""


async def made(js: JetStreamContext, life: LogLife) -> None:
    """Each that is declared, as the number of copies wants it; one that is kept otherwise is made anew, and goes on where it was."""
    for stream in KEPT:
        there = {info.name: info for info in await js.consumers_info(stream)}
        for config in (config for of, config in CONSUMERS if of == stream):
            await _made(js, life, stream, config, there.get(config.name or ""))


async def _made(js: JetStreamContext, life: LogLife, stream: str, config: api.ConsumerConfig, there: api.ConsumerInfo | None) -> None:
    in_memory = life.replicas > 1
    if there is None and in_memory and config.deliver_policy is api.DeliverPolicy.NEW:  # else it would begin anew when it forgets
        await _add(js, stream, _behind(config, (await js.stream_info(stream)).state.last_seq).evolve(mem_storage=True))
    elif there is None:
        await _add(js, stream, config.evolve(mem_storage=True) if in_memory else config)
    elif bool(there.config.mem_storage) != in_memory:
        done = _done(there)
        if stream == EVENTS:
            await js.publish(subjects.floor(there.name), noted(life.epoch, done))
            config = _behind(config, done)
        await _delete(js, stream, there.name)
        await _add(js, stream, config.evolve(mem_storage=True) if in_memory else config)


def noted(epoch: str, seq: int) -> bytes:
    """Everything up to `seq` was acknowledged, as it lies on disk."""
    return f"{epoch}:{seq}".encode()


def _done(there: api.ConsumerInfo) -> int:
    """Where nothing is being worked on, all that was delivered is done; one that has begun a moment ago acknowledged nothing yet."""
    acked = there.ack_floor.stream_seq if there.ack_floor else 0
    return max(acked, there.delivered.stream_seq if there.delivered and not there.num_ack_pending else 0)


def _behind(config: api.ConsumerConfig, seq: int) -> api.ConsumerConfig:
    return config.evolve(deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=seq + 1)


async def _delete(js: JetStreamContext, stream: str, name: str) -> None:
    try:
        await js.delete_consumer(stream, name)
    except NotFoundError:  # another service was first
        pass


async def _add(js: JetStreamContext, stream: str, config: api.ConsumerConfig) -> None:
    assert config.name is not None
    try:
        await js.add_consumer(stream, config)
    except APIError as error:
        if error.code != 400:
            raise
        await js.consumer_info(stream, config.name)  # another service made it
