"""Every bus subject, built here and nowhere else."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from trunkline.contracts.ids import SandboxId, TaskId, TenantId, token

ALL_EVENTS = "evt.>"
LIVE_PREFIX = "live."
ALL_LIVE = "live.evt.>"
ALL_MEMOS = "memo.*"
ALL_REVOKED = "revoked.>"
ALL_SEALED = "vault.>"
ALL_HOOKS = "hook.>"
ALL_DELIVERIES = "deliver.>"
ALL_BEATS = "beat.>"
ALL_SCHEDULES = "schedule.>"
ALL_FLOORS = "floor.>"
AGENT_VERBS = ("claim", "beat", "report", "say", "ask", "approve", "answer", "publish", "submit", "follow")
"""What an agent on NATS may ask of the control plane: a service of its account for each."""
ALL_TOLD = "told.>"
ALL_TRACES = "trace.>"
ALL_DEAD = "dead.>"
ALL_WORK = "work.>"
NO_TASK = TaskId("-")
"""Stands in the task's place of what is about no task."""
TASK = "task"
INBOX = "inbox"
SPEND = "spend"
PULL = "pull"
SANDBOX = "sandbox"
PREFERRED = "preferred"
IMAGE = "image"
BUILD = "build"
"""The part of what the build of an image says."""
INSTANCE = "instance"
"""The part of the conversation of an agent that calls home."""
ROOM = "room"
"""The part of who has a place in a tenant, and stands in the task's place there."""
DISPATCH = "dispatch"
"""The part of the workflow run that was started for a task, and of its key."""
MESSAGE = "message"
"""The part of what people and agents say to each other; nobody fences it."""


class EventSubject(NamedTuple):
    """The three names inside `evt.<tenant>.<task>.<part>`."""

    tenant: TenantId
    task: TaskId
    part: str


def event(tenant: TenantId, task: TaskId, part: str) -> str:
    """Where the facts of one aggregate of a task are stored."""
    return f"evt.{token(tenant)}.{token(task)}.{token(part)}"


def timeline(tenant: TenantId, task: TaskId) -> str:
    """Every part of one task, in one order."""
    return f"evt.{token(tenant)}.{token(task)}.>"


def everything_of(tenant: TenantId) -> str:
    """Every part of every task of one tenant."""
    return f"evt.{token(tenant)}.>"


def task_anywhere(task: TaskId, tenant: TenantId | None = None) -> str:
    """Every part of one task, also for whoever does not know whose it is."""
    return f"evt.{token(tenant) if tenant else '*'}.{token(task)}.>"


def events_of_part(part: str) -> str:
    """The facts of one part over all tenants and tasks; wildcards match whole tokens only, so no family of parts can be asked for."""
    return f"evt.*.*.{part}"


@lru_cache(4096)  # thousands of records of one task are read in a row
def parse_event(subject: str) -> EventSubject:
    """The names inside an event subject, stored or live. Raises ValueError for any other subject."""
    parts = subject.removeprefix(LIVE_PREFIX).split(".")
    if len(parts) != 4 or parts[0] != "evt":
        raise ValueError(f"not an event subject: {subject}")
    return EventSubject(TenantId(parts[1]), TaskId(parts[2]), parts[3])


def approval_part(approval_id: str) -> str:
    """The part of one approval of a task. Raises ValueError when the id leaves no room for it."""
    return token(f"approval-{approval_id}")


def command(service: str, tenant: TenantId, id: str, verb: str) -> str:
    """Where one command to the owner of one aggregate is sent."""
    return f"cmd.{token(service)}.{token(tenant)}.{token(id)}.{token(verb)}"


def commands_of(service: str, verb: str) -> str:
    """What a service listens on for one verb."""
    return f"cmd.{token(service)}.*.*.{token(verb)}"


class Line(NamedTuple):
    """What waits in one lane of a pool for one tenant; no tenant: what an earlier version put there, for all tenants in one line."""

    lane: str
    tenant: str


_LINE = "line"
"""Keeps the lines out of the consumers of earlier versions, which were of whole lanes: a work queue gives nothing to two."""
ALL_LINES = f"work.*.{_LINE}.*.*"


def work(pool: str, lane: str, tenant: str) -> str:
    """Where a released task waits for an agent of its pool."""
    return f"work.{token(pool)}.{_LINE}.{token(lane)}.{token(tenant)}"


def work_before(pool: str, lane: str) -> str:
    """Where earlier versions put what waits in one lane of a pool."""
    return f"work.{token(pool)}.{token(lane)}.>"


def before_lines(subject: str) -> str:
    """Where an earlier version would have put what lies in a line."""
    work, pool, _, lane, tenant = subject.split(".")
    return f"{work}.{pool}.{lane}.{tenant}"


def work_of(pool: str, tenant: str | None = None) -> str:
    """Every line of a pool, or those of one tenant."""
    return f"work.{token(pool)}.{_LINE}.*.{token(tenant)}" if tenant else f"work.{token(pool)}.>"


def parse_work(subject: str) -> Line | None:
    """The line of what was put, or of its bell; None: no line of ours."""
    match subject.removeprefix(LIVE_PREFIX).split("."):
        case ["work", _, "line", lane, tenant]:
            return Line(lane, tenant)
        case ["work", _, lane, _]:
            return Line(lane, "")
        case _:
            return None


def timer(name: str, id: str) -> str:
    """Where one pending timer lies; setting it again replaces it, purging it cancels it."""
    return f"timer.{token(name)}.{token(id)}"


def due(service: str, verb: str) -> str:
    """Where a timer fires to."""
    return f"due.{token(service)}.{token(verb)}"


def due_for(service: str) -> str:
    return f"due.{token(service)}.>"


def trace(tenant: TenantId, trace_id: str) -> str:
    """Where the spans of one trace lie, as far as they are one tenant's."""
    return f"trace.{token(tenant)}.{token(trace_id)}"


def dead(what: str, tenant: TenantId, id: str) -> str:
    """Where something that was given up on is kept."""
    return f"dead.{token(what)}.{token(tenant)}.{token(id)}"


def delivered_of(tenant: TenantId) -> str:
    """Everything on its way to any webhook of a tenant."""
    return f"deliver.{token(tenant)}.*.*"


def carried(consumer: str, seq: int) -> str:
    """Where it lies that somebody began to work on a message, and whether anybody lived to say how that went."""
    return f"beat.carried.{token(consumer.partition('~')[0])}.{seq}"


def limit(name: str, window: str, key: str) -> str:
    """One caller's hits against one limit; `key` is a hash, never text of the caller's."""
    return f"rl.{token(name)}.{token(window)}.{token(key)}"


def limits_of(name: str, window: str) -> str:
    """Every caller's hits against one limit."""
    return f"rl.{token(name)}.{token(window)}.*"


def memo(key: str) -> str:
    """Where the answer to one request is kept for its repeats; `key` is a hash, never text of the caller's."""
    return f"memo.{token(key)}"


def revoked(kind: str, name: str) -> str:
    """Where one revocation lies; `name` is a hash, never text of anybody's."""
    return f"revoked.{token(kind)}.{token(name)}"


def live_of_task(tenant: TenantId, task: TaskId) -> str:
    """What is said about one task as it is stored, for whoever only wants a nudge."""
    return f"{LIVE_PREFIX}evt.{token(tenant)}.{token(task)}.*"


def vault(tenant: TenantId, handle: str) -> str:
    """Where one sealed secret lies."""
    return f"vault.{token(tenant)}.{token(handle)}"


def spent(tenant: TenantId, day: str, what: str) -> str:
    """Where a counter of one tenant's day lies; `day` as yyyymmdd."""
    return f"spend.{token(tenant)}.{token(day)}.{token(what)}"


def hook(tenant: TenantId, hook_id: str) -> str:
    """Where the records of one webhook lie."""
    return f"hook.{token(tenant)}.{token(hook_id)}"


def delivery(tenant: TenantId, hook_id: str, delivery_id: str) -> str:
    """Where one event lies on its way to one webhook."""
    return f"deliver.{token(tenant)}.{token(hook_id)}.{token(delivery_id)}"


def deliveries_of(tenant: TenantId, hook_id: str) -> str:
    """Everything on its way to one webhook."""
    return f"deliver.{token(tenant)}.{token(hook_id)}.*"


def sandbox(tenant: TenantId, sandbox_id: SandboxId) -> str:
    """Where the facts of one named sandbox lie."""
    return event(tenant, TaskId(sandbox_id), SANDBOX)


def preferred(tenant: TenantId, user: str) -> str:
    """Where it lies which sandbox a user prefers; `user` is a hash, never text of anybody's."""
    return event(tenant, TaskId(f"user-{user}"), PREFERRED)


def image(tenant: TenantId, image_id: str) -> str:
    """Where the facts of one image lie."""
    return event(tenant, TaskId(image_id), IMAGE)


def image_log(tenant: TenantId, image_id: str) -> str:
    """Where lies what its builds said."""
    return event(tenant, TaskId(image_id), BUILD)


def room(tenant: TenantId) -> str:
    """Where lies who of a tenant has a place, where only so many may be worked on at once."""
    return event(tenant, TaskId(ROOM), ROOM)


def schedule(tenant: TenantId, schedule_id: str) -> str:
    """Where one schedule lies."""
    return f"schedule.{token(tenant)}.{token(schedule_id)}"


def schedules_of(tenant: TenantId) -> str:
    """All schedules of a tenant."""
    return f"schedule.{token(tenant)}.*"


def floor(consumer: str) -> str:
    """Where it lies how far a consumer of the log has got."""
    return f"floor.{token(consumer)}"


def beat(tenant: TenantId, task: TaskId) -> str:
    """Where the last sign of life of one instance lies."""
    return f"beat.{token(tenant)}.{token(task)}"


def agent_call(tenant: TenantId, name: str, verb: str) -> str:
    """Where an agent on NATS asks for something. `name` is its subject; nats-server keeps everybody else from publishing here."""
    return f"agent.{token(tenant)}.{token(name)}.{token(verb)}"


def agent_calls(verb: str) -> str:
    """What is listened on for one verb."""
    return f"agent.*.*.{token(verb)}"


def agent_inbox(tenant: TenantId, name: str) -> str:
    """What the reply subjects of an agent begin with: no other agent hears what comes there."""
    return f"_INBOX.{token(tenant)}.{token(name)}"


def told(tenant: TenantId, name: str, what: str) -> str:
    """Where an agent hears at once what its next beat or question would tell it too."""
    return f"told.{token(tenant)}.{token(name)}.{token(what)}"


def told_of(tenant: TenantId, name: str) -> str:
    return f"told.{token(tenant)}.{token(name)}.>"


class AgentCall(NamedTuple):
    """Who asks, and what for: the tokens of the subject, never of the body."""

    tenant: TenantId
    name: str
    verb: str


def parse_agent_call(subject: str) -> AgentCall:
    """Raises ValueError for any other subject."""
    parts = subject.split(".")
    if len(parts) != 4 or parts[0] != "agent":
        raise ValueError(f"no agent's subject: {subject}")
    return AgentCall(TenantId(token(parts[1])), token(parts[2]), token(parts[3]))
