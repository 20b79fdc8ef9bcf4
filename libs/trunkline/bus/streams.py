"""Every stream and every durable consumer, declared here and made by one idempotent bootstrap."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from nats.js import JetStreamContext, api
from nats.js.errors import APIError, BadRequestError, NotFoundError

from trunkline.contracts import subjects
from trunkline.contracts.errors import Unavailable

EVENTS: Final = "EVENTS"
WORK: Final = "WORK"
TIMERS: Final = "TIMERS"
DEAD: Final = "DEAD"

EPOCH: Final = "trunkline-epoch"
MINUTE: Final = 60.0
DAY: Final = 24 * 60 * MINUTE
DUPLICATE_WINDOW: Final = 10 * MINUTE
"""Longer than any publish is retried, so a repeat is always known for one."""

ACK_WAIT: Final = 4.0
"""Seconds until an unacknowledged message is delivered again: what a killed service costs, at most."""
HEARTBEAT: Final = 1.0
"""Seconds between two signs of life for a message that is being worked on."""
MAX_ACK_PENDING: Final = 256

_STREAM_EXISTS: Final = 10058


def declared(replicas: int, events_days: int) -> list[api.StreamConfig]:
    """What lies on disk, and for how long."""
    return [
        api.StreamConfig(
            name=EVENTS,
            description="Everything that happened: the log of record and the feed of every timeline.",
            subjects=[subjects.ALL_EVENTS],
            retention=api.RetentionPolicy.LIMITS,
            max_age=events_days * DAY,
            max_msg_size=1 << 20,
            allow_direct=True,
            deny_delete=True,
            duplicate_window=DUPLICATE_WINDOW,
            num_replicas=replicas,
            republish=api.RePublish(src=subjects.ALL_EVENTS, dest=subjects.LIVE_PREFIX + subjects.ALL_EVENTS),
            metadata={EPOCH: secrets.token_hex(4)},
        ),
        api.StreamConfig(
            name=WORK,
            description="Released tasks waiting for an agent of their pool.",
            subjects=["work.>"],
            retention=api.RetentionPolicy.WORK_QUEUE,
            duplicate_window=DUPLICATE_WINDOW,
            num_replicas=replicas,
        ),
        api.StreamConfig(
            name=TIMERS,
            description="Deadlines, expiries, retries: pending under timer.>, fired under due.>.",
            subjects=["timer.>", "due.>"],
            retention=api.RetentionPolicy.WORK_QUEUE,
            allow_msg_schedules=True,
            allow_msg_ttl=True,
            duplicate_window=DUPLICATE_WINDOW,
            num_replicas=replicas,
        ),
        api.StreamConfig(
            name=DEAD,
            description="What was given up on, with why and how to ask for it again.",
            subjects=["dead.>"],
            retention=api.RetentionPolicy.LIMITS,
            max_age=events_days * DAY,
            allow_direct=True,
            duplicate_window=DUPLICATE_WINDOW,
            num_replicas=replicas,
        ),
    ]


def durable(name: str, filter_subject: str, description: str) -> api.ConsumerConfig:
    return api.ConsumerConfig(
        name=name,
        durable_name=name,
        description=description,
        filter_subject=filter_subject,
        deliver_policy=api.DeliverPolicy.ALL,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT,
        max_deliver=-1,
        max_ack_pending=MAX_ACK_PENDING,
    )


CONSUMERS: Final[tuple[tuple[str, api.ConsumerConfig], ...]] = (
    (EVENTS, durable("router-tasks", subjects.events_of_part("task"), "Router: release, timers, retries of its own tasks.")),
    (EVENTS, durable("router-runs", subjects.events_of_part("run"), "Router: how the runs of its tasks go.")),
    (EVENTS, durable("sandbox-tasks", subjects.events_of_part("task"), "Sandbox: tasks that are to stop before anyone runs them.")),
    (WORK, durable("work-dev", subjects.work_of("dev"), "Sandbox: released tasks of the pool dev.")),
    (TIMERS, durable("due-router-deadline", subjects.due("router", "deadline"), "Router: tasks whose time is up.")),
    (TIMERS, durable("due-router-retry", subjects.due("router", "retry"), "Router: runs to be tried again.")),
    (TIMERS, durable("due-router-stop", subjects.due("router", "stop"), "Router: stops that nobody confirmed.")),
    (TIMERS, durable("due-approvals-expire", subjects.due("approvals", "expire"), "Approvals: expiries that came due.")),
)


@dataclass(frozen=True, slots=True)
class LogLife:
    """The name of this life of the log, and how many servers hold it."""

    epoch: str
    replicas: int


async def bootstrap(js: JetStreamContext, *, replicas: int, events_days: int) -> LogLife:
    """Make what is missing, leave what is there."""
    for config in declared(replicas, events_days):
        await _stream(js, config)
    for stream, consumer in CONSUMERS:
        await _consumer(js, stream, consumer)
    return await _life(js)


async def _life(js: JetStreamContext) -> LogLife:
    """Raises Unavailable when the log was not made by us."""
    config = (await js.stream_info(EVENTS)).config
    metadata = config.metadata or {}
    if EPOCH not in metadata:
        raise Unavailable("the stream EVENTS was not made by Trunkline; give Trunkline a nats account of its own", code="FOREIGN_STREAM")
    return LogLife(metadata[EPOCH], config.num_replicas or 1)


async def _stream(js: JetStreamContext, config: api.StreamConfig) -> None:
    assert config.name is not None
    try:
        await js.stream_info(config.name)
    except NotFoundError:
        try:
            await js.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _STREAM_EXISTS:  # another service was first, with its own epoch: theirs counts
                raise


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
