"""The verbs of a client in groups, each with the signature of the call that it binds: one table for both clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from trunkline.sdk.calls import approvals, events, job_webhooks, jobs, steering, tasks, webhooks
from trunkline.sdk.means import Means
from trunkline.sdk.verbs import Asked, Followed, Listed


@dataclass(frozen=True, repr=False)
class Jobs(Generic[Means]):
    """Jobs on repositories, as the pr_agent surface has them."""

    _means: Means

    execute = Asked(jobs.execute)
    get = Asked(jobs.get)
    list = Listed(jobs.list_)
    stream = Followed(jobs.stream)
    watch = Followed(jobs.watch)
    replay = Followed(jobs.replay)
    cancel = Asked(jobs.cancel)
    rate_limit_status = Asked(jobs.rate_limit_status)
    demonstration = Followed(jobs.demonstration)
    create_webhook = Asked(job_webhooks.create)
    list_webhooks = Asked(job_webhooks.list_)
    get_webhook = Asked(job_webhooks.get)
    delete_webhook = Asked(job_webhooks.delete)


@dataclass(frozen=True, repr=False)
class JobWebhooks(Generic[Means]):
    """Webhooks that hear of one's own jobs, and what was sent to them."""

    _means: Means

    create = Asked(job_webhooks.create)
    list = Asked(job_webhooks.list_)
    get = Asked(job_webhooks.get)
    change = Asked(job_webhooks.change)
    delete = Asked(job_webhooks.delete)
    rotate = Asked(job_webhooks.rotate)
    verify = Asked(job_webhooks.verify)
    deliveries = Listed(job_webhooks.deliveries)
    delivery = Asked(job_webhooks.delivery)
    redeliver = Asked(job_webhooks.redeliver)
    redeliver_many = Asked(job_webhooks.redeliver_many)


@dataclass(frozen=True, repr=False)
class Tasks(Generic[Means]):
    """Tasks, as the orchestrator surface has them, and steering them while their agents run."""

    _means: Means

    create = Asked(tasks.create)
    get = Asked(tasks.get)
    list = Listed(tasks.list_)
    cancel = Asked(tasks.cancel)
    report = Asked(tasks.report)
    continue_ = Asked(tasks.continue_)
    fork = Asked(tasks.fork)
    events = Followed(tasks.events)
    event_page = Asked(tasks.event_page)
    usage = Asked(tasks.usage)
    send = Asked(steering.send)
    messages = Asked(steering.messages)
    edit_message = Asked(steering.edit_message)
    withdraw_message = Asked(steering.withdraw_message)
    order_messages = Asked(steering.order_messages)
    interrupt = Asked(steering.interrupt)
    pause = Asked(steering.pause)
    resume = Asked(steering.resume)


@dataclass(frozen=True, repr=False)
class Approvals(Generic[Means]):
    """What waits for people, and their decisions."""

    _means: Means

    pending = Listed(approvals.pending)
    history = Listed(approvals.history)
    get = Asked(approvals.get)
    approve = Asked(approvals.approve)
    reject = Asked(approvals.reject)


@dataclass(frozen=True, repr=False)
class Events(Generic[Means]):
    """Events that programs tell one another."""

    _means: Means

    publish = Asked(events.publish)


@dataclass(frozen=True, repr=False)
class Traces(Generic[Means]):
    """Everything that carries one trace id."""

    _means: Means

    get = Asked(events.trace)


@dataclass(frozen=True, repr=False)
class Webhooks(Generic[Means]):
    """Webhooks of the tenant, and what was sent to them."""

    _means: Means

    create = Asked(webhooks.create)
    list = Listed(webhooks.list_)
    get = Asked(webhooks.get)
    change = Asked(webhooks.change)
    delete = Asked(webhooks.delete)
    rotate = Asked(webhooks.rotate)
    verify = Asked(webhooks.verify)
    deliveries = Listed(webhooks.deliveries)
    delivery = Asked(webhooks.delivery)
    redeliver = Asked(webhooks.redeliver)
    redeliver_many = Asked(webhooks.redeliver_many)
