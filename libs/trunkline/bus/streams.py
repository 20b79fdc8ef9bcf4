"""Every stream and every durable consumer that is there from the start, declared; `bootstrap` makes them."""

from __future__ import annotations

import secrets
from typing import Final

from nats.js import api

from trunkline.contracts import subjects
from trunkline.contracts.approval import RELEASE

EVENTS: Final = "EVENTS"
WORK: Final = "WORK"
TIMERS: Final = "TIMERS"
DEAD: Final = "DEAD"
REVOKED: Final = "REVOKED"
MEMO: Final = "MEMO"
SPEND: Final = "SPEND"
VAULT: Final = "VAULT"
HOOKS: Final = "HOOKS"
DELIVERIES: Final = "DELIVERIES"
BEATS: Final = "BEATS"
SCHEDULES: Final = "SCHEDULES"
FLOORS: Final = "FLOORS"
TRACES: Final = "TRACES"

RESTORING: Final = "RESTORING"
"""Is there while a backup is being restored, and says which."""
UNFINISHED: Final = "RESTORE_UNFINISHED"

EPOCH: Final = "trunkline-epoch"
SEAL: Final = "trunkline-seal"
MINUTE: Final = 60.0
DAY: Final = 24 * 60 * MINUTE
DUPLICATE_WINDOW: Final = 10 * MINUTE
"""Longer than any publish is retried, so a repeat is always known for one."""

MOST_REVOKED: Final = 1_000_000
"""Beyond it nothing more can be revoked: an entry that made room for another would be a token that counts again."""

ACK_WAIT: Final = 4.0
"""Seconds until an unacknowledged message is delivered again: what a killed service costs, at most."""
HEARTBEAT: Final = 1.0
"""Seconds between two signs of life for a message that is being worked on."""
MAX_ACK_PENDING: Final = 256
MOST_ON_THEIR_WAY: Final = 4096
"""Of all relays: what waits for subscribers of webhooks must not hold up the others."""

REMEMBERED: Final = DAY
"""Seconds for which an answer is kept for whoever asks again with the same key."""
COUNTED_IN_MEMORY: Final = 60 * MINUTE
"""The longest window that may be forgotten when nats-server is restarted."""
SPENDING_KEPT: Final = 40 * DAY
SPENDING_REPEATED: Final = 60 * MINUTE
"""For so long whoever takes over may add again what may have been added."""
SEALED: Final = 8 * DAY
"""A day more than a task may take at most."""
HOOK_HISTORY: Final = 64
"""Records of one webhook: the newest says all, the others how it came to that."""
BEATS_KEPT: Final = 60 * MINUTE
"""Far longer than anybody may be silent and count as alive."""
DELIVERIES_KEPT: Final = 8 * DAY
"""Twice as long as one may take."""
TRACES_KEPT: Final = 3 * DAY
TRACES_BYTES: Final = 32 << 20
"""Some hundred thousand spans. nats-server wants as much of its store free when the stream is made, and the smallest has 64 MiB."""
MOST_OF_A_TRACE: Final = 1000
"""Messages; the oldest go."""
MOST_HITS: Final = 1_000_000
"""In all windows of one limit together: some 400 MB."""


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
            metadata={EPOCH: secrets.token_hex(4), SEAL: secrets.token_hex(32)},
        ),
        api.StreamConfig(
            name=WORK,
            description="Released tasks waiting for an agent of their pool.",
            subjects=["work.>"],
            retention=api.RetentionPolicy.WORK_QUEUE,
            allow_msg_ttl=True,
            duplicate_window=DUPLICATE_WINDOW,
            num_replicas=replicas,
            republish=api.RePublish(src="work.>", dest=subjects.LIVE_PREFIX + "work.>", headers_only=True),
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
        _given_up(replicas, events_days),
        _answers(replicas),
        _revocations(replicas),
        _spendings(replicas),
        _sealed(replicas),
        _hooks(replicas),
        _deliveries(replicas),
        beats_kept(replicas),
        _schedules(replicas),
        _floors(replicas),
        _traces(replicas),
    ]


def _given_up(replicas: int, events_days: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=DEAD,
        description="What was given up on, with why and how to ask for it again.",
        subjects=["dead.>"],
        retention=api.RetentionPolicy.LIMITS,
        max_age=events_days * DAY,
        allow_direct=True,
        duplicate_window=DUPLICATE_WINDOW,
        num_replicas=replicas,
    )


def _answers(replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=MEMO,
        description="Answers to requests that came with a key of their sender's, kept for whoever repeats them.",
        subjects=[subjects.ALL_MEMOS],
        retention=api.RetentionPolicy.LIMITS,
        max_age=REMEMBERED,
        max_msgs_per_subject=1,
        allow_direct=True,
        duplicate_window=DUPLICATE_WINDOW,
        num_replicas=replicas,
    )


def _revocations(replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=REVOKED,
        description="Tokens and API keys that count no more though their time is not up; each entry goes when what it revokes would be "
        "over anyway, that of a key never.",
        subjects=[subjects.ALL_REVOKED],
        retention=api.RetentionPolicy.LIMITS,
        discard=api.DiscardPolicy.NEW,
        max_msgs=MOST_REVOKED,
        max_msgs_per_subject=1,
        allow_msg_ttl=True,
        allow_direct=True,
        duplicate_window=DUPLICATE_WINDOW,
        num_replicas=replicas,
        republish=api.RePublish(src=subjects.ALL_REVOKED, dest=subjects.LIVE_PREFIX + subjects.ALL_REVOKED),
    )


def _spendings(replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=SPEND,
        description="What models cost: one counter for each tenant, day and measure, added up by nats-server.",
        subjects=["spend.>"],
        retention=api.RetentionPolicy.LIMITS,
        max_age=SPENDING_KEPT,
        # The sum lies in the newest; the older ones are kept so that a repeat is known after a restart too.
        max_msgs_per_subject=10_000,
        max_msg_size=1024,
        allow_msg_counter=True,
        allow_direct=True,
        duplicate_window=SPENDING_REPEATED,
        num_replicas=replicas,
    )


def _sealed(replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=VAULT,
        description="Tokens that callers gave with their tasks, sealed with a key that nats-server never sees.",
        subjects=[subjects.ALL_SEALED],
        retention=api.RetentionPolicy.LIMITS,
        max_age=SEALED,
        max_msgs_per_subject=1,
        max_msg_size=4096,
        allow_direct=True,
        duplicate_window=DUPLICATE_WINDOW,
        num_replicas=replicas,
    )


def _hooks(replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=HOOKS,
        description="Webhooks: the newest record of each says how it stands, its secrets sealed.",
        subjects=[subjects.ALL_HOOKS],
        retention=api.RetentionPolicy.LIMITS,
        max_msgs_per_subject=HOOK_HISTORY,
        max_msg_size=1 << 16,
        allow_direct=True,
        duplicate_window=DUPLICATE_WINDOW,
        num_replicas=replicas,
        republish=api.RePublish(src=subjects.ALL_HOOKS, dest=subjects.LIVE_PREFIX + subjects.ALL_HOOKS),
    )


def _deliveries(replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=DELIVERIES,
        description="What is on its way to webhooks, and what became of it; the newest record of each delivery is the whole of it.",
        subjects=[subjects.ALL_DELIVERIES],
        retention=api.RetentionPolicy.LIMITS,
        max_age=DELIVERIES_KEPT,
        max_msgs_per_subject=1,
        max_msg_size=1 << 20,
        allow_direct=True,
        duplicate_window=DUPLICATE_WINDOW,
        num_replicas=replicas,
    )


def beats_kept(replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=BEATS,
        description="The last sign of life of each agent that calls home; forgotten with nats-server, and then nobody counts as silent.",
        subjects=[subjects.ALL_BEATS],
        retention=api.RetentionPolicy.LIMITS,
        max_age=BEATS_KEPT,
        max_msgs_per_subject=1,
        max_msg_size=1024,
        allow_direct=True,
        storage=api.StorageType.MEMORY,
        num_replicas=replicas,
    )


def _traces(replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=TRACES,
        description="Spans of what was done, trace by trace: the oldest go when there is no more room, and the newest at a power cut.",
        subjects=[subjects.ALL_TRACES],
        retention=api.RetentionPolicy.LIMITS,
        max_age=TRACES_KEPT,
        max_bytes=TRACES_BYTES,
        max_msgs_per_subject=MOST_OF_A_TRACE,
        max_msg_size=1 << 20,
        allow_direct=True,
        persist_mode=api.PersistMode.ASYNC if replicas == 1 else None,
        num_replicas=replicas,
    )


def _schedules(replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=SCHEDULES,
        description="Schedules: the newest record of each says how it stands; that of a deleted one is forgotten after an hour.",
        subjects=[subjects.ALL_SCHEDULES],
        retention=api.RetentionPolicy.LIMITS,
        max_msgs_per_subject=1,
        max_msg_size=1 << 20,
        allow_msg_ttl=True,
        allow_direct=True,
        duplicate_window=DUPLICATE_WINDOW,
        num_replicas=replicas,
    )


def _floors(replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=FLOORS,
        description="How far consumers of the log have got, where nats-server keeps that in memory: nothing up to there is done again.",
        subjects=[subjects.ALL_FLOORS],
        retention=api.RetentionPolicy.LIMITS,
        max_msgs_per_subject=1,
        max_msg_size=1024,
        allow_direct=True,
        duplicate_window=DUPLICATE_WINDOW,
        num_replicas=replicas,
    )


def counting_name(limit: int, window_s: int) -> str:
    return f"RL_{limit}_{window_s}"


def counting(limit: int, window_s: int, replicas: int) -> api.StreamConfig:
    """Takes `limit` messages of one subject in any `window_s` seconds, and refuses the next."""
    kept = window_s > COUNTED_IN_MEMORY
    return api.StreamConfig(
        name=counting_name(limit, window_s),
        description=f"Exact windows: {limit} in {window_s} s for each caller.",
        subjects=[subjects.limits_of(str(limit), str(window_s))],
        retention=api.RetentionPolicy.LIMITS,
        max_age=window_s,
        max_msgs=MOST_HITS,
        max_msgs_per_subject=limit,
        max_msg_size=1024,
        discard=api.DiscardPolicy.NEW,
        discard_new_per_subject=True,
        allow_direct=True,
        storage=api.StorageType.FILE if kept else api.StorageType.MEMORY,
        # A hit that a power cut takes is a hit more for one caller; syncing each would make counting three times as dear.
        persist_mode=api.PersistMode.ASYNC if kept and replicas == 1 else None,
        num_replicas=replicas,
    )


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


def _wide(consumer: api.ConsumerConfig) -> api.ConsumerConfig:
    return consumer.evolve(max_ack_pending=MOST_ON_THEIR_WAY)


def _from_now_on(consumer: api.ConsumerConfig) -> api.ConsumerConfig:
    """What happened before it was made is not for it."""
    return consumer.evolve(deliver_policy=api.DeliverPolicy.NEW, max_ack_pending=MOST_ON_THEIR_WAY)


CONSUMERS: Final[tuple[tuple[str, api.ConsumerConfig], ...]] = (
    (EVENTS, durable("router-tasks", subjects.events_of_part("task"), "Router: release, timers, retries of its own tasks.")),
    (EVENTS, durable("router-runs", subjects.events_of_part("run"), "Router: how the runs of its tasks go.")),
    (EVENTS, durable("sandbox-tasks", subjects.events_of_part("task"), "Sandbox: tasks that are to stop before anyone runs them.")),
    (EVENTS, durable("router-approvals", subjects.events_of_part(subjects.approval_part(RELEASE)), "Router: may its held tasks begin?")),
    (EVENTS, durable("approvals-runs", subjects.events_of_part("run"), "Approvals: what runs want allowed, and runs that ended.")),
    (EVENTS, durable("approvals-tasks", subjects.events_of_part("task"), "Approvals: tasks that are held, and those that end so.")),
    (TIMERS, durable("due-router-sla", subjects.due("router", "sla"), "Router: tasks promised for now.")),
    (TIMERS, durable("due-router-deadline", subjects.due("router", "deadline"), "Router: tasks whose time is up.")),
    (TIMERS, durable("due-router-retry", subjects.due("router", "retry"), "Router: runs to be tried again.")),
    (EVENTS, durable("router-rooms", subjects.events_of_part(subjects.ROOM), "Router: who has a place, and who waits for one.")),
    (TIMERS, durable("due-router-place", subjects.due("router", "place"), "Router: tenants of which some task waits for a place.")),
    (TIMERS, durable("due-router-schedule", subjects.due("router", "schedule"), "Router: schedules that are due.")),
    (SCHEDULES, durable("router-schedules", subjects.ALL_SCHEDULES, "Router: schedules whose alarms are to be set.")),
    (TIMERS, durable("due-router-pull", subjects.due("router", "pull"), "Router: news of pull requests that came too early.")),
    (TIMERS, durable("due-router-stop", subjects.due("router", "stop"), "Router: stops that nobody confirmed.")),
    (TIMERS, durable("due-sandbox-look", subjects.due("sandbox", "look"), "Sandbox: parked runs to be looked at.")),
    (EVENTS, durable("sandbox-named", subjects.events_of_part(subjects.SANDBOX), "Sandbox: what named sandboxes want.")),
    (EVENTS, durable("sandbox-images", subjects.events_of_part(subjects.IMAGE), "Sandbox: images to be built, and who waits for them.")),
    (TIMERS, durable("due-sandbox-named", subjects.due("sandbox", "named"), "Sandbox: named sandboxes that idled or lived for long.")),
    (EVENTS, _from_now_on(durable("relay-webhooks", subjects.ALL_EVENTS, "Relay: which webhooks are to be told of what happened."))),
    (DELIVERIES, _wide(durable("relay-deliveries", subjects.ALL_DELIVERIES, "Relay: what is to be delivered now."))),
    (TIMERS, _wide(durable("due-relay-deliver", subjects.due("relay", "deliver"), "Relay: deliveries to be tried again."))),
    (TIMERS, _wide(durable("due-relay-verify", subjects.due("relay", "verify"), "Relay: addresses to be asked if they want to be told."))),
    (EVENTS, durable("router-instances", subjects.events_of_part(subjects.INSTANCE), "Router: agents that called home, or are done.")),
    (EVENTS, durable("router-dispatches", subjects.events_of_part(subjects.DISPATCH), "Router: how workflow runs of its tasks go.")),
    (EVENTS, durable("relay-tasks", subjects.events_of_part(subjects.TASK), "Relay: workflows to be started, and stopped.")),
    (EVENTS, durable("approvals-instances", subjects.events_of_part(subjects.INSTANCE), "Approvals: what agents elsewhere ask people.")),
    (TIMERS, durable("due-router-instance", subjects.due("router", "instance"), "Router: instances that may be silent.")),
    (TIMERS, durable("due-router-lease", subjects.due("router", "lease"), "Router: agents with leases that may be silent.")),
    (TIMERS, durable("due-relay-dispatch", subjects.due("relay", "dispatch"), "Relay: dispatches to be tried or looked at again.")),
    (DEAD, durable("relay-letters", subjects.ALL_DEAD, "Relay: letters that are to be tried once more, whoever died of saying so.")),
    (TIMERS, durable("due-approvals-expire", subjects.due("approvals", "expire"), "Approvals: expiries that came due.")),
)


RETIRED: Final = ((WORK, "work-dev"),)
"""Consumers of earlier versions: where one is left, it would stand in the way of those that took its place."""
