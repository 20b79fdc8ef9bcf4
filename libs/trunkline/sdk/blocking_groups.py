"""The verbs of a client that is not asynchronous, in groups: each is a call bound to a wire and waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Generic, ParamSpec, Protocol, TypeVar

from trunkline.sdk.blocking import List, Stream
from trunkline.sdk.calls import Call, Feed, Page, approvals, events, jobs, steering, tasks, webhooks
from trunkline.sdk.groups import Means
from trunkline.sdk.portal import Portal

P = ParamSpec("P")
T = TypeVar("T")


class Group(Protocol):
    @property
    def _means(self) -> Means: ...

    @property
    def _portal(self) -> Portal: ...


class Asked(Generic[P, T]):
    """A verb that gives an answer."""

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    def __get__(self, group: Group, owner: type) -> Callable[P, T]:
        call = self._call

        @wraps(call)
        def ask(*args: P.args, **options: P.kwargs) -> T:
            return group._portal.run(group._means.wire.ask(call(*args, **options)))

        return ask


class Followed(Generic[P, T]):
    """A verb that gives a stream."""

    def __init__(self, feed: Callable[P, Feed[T]]) -> None:
        self._feed = feed
        self.__doc__ = feed.__doc__

    def __get__(self, group: Group, owner: type) -> Callable[P, Stream[T]]:
        feed = self._feed

        @wraps(feed)
        def follow(*args: P.args, **options: P.kwargs) -> Stream[T]:
            return Stream(group._portal, group._means.stream(feed(*args, **options)))

        return follow


class Listed(Generic[P, T]):
    """A verb that gives a list."""

    def __init__(self, call: Callable[P, Call[Page[T]]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    def __get__(self, group: Group, owner: type) -> Callable[P, List[T]]:
        call = self._call

        @wraps(call)
        def listing(*args: P.args, **options: P.kwargs) -> List[T]:
            return List(group._portal, group._means.wire, call(*args, **options))

        return listing


@dataclass(frozen=True, repr=False)
class Jobs:
    """Jobs on repositories, as the pr_agent surface has them."""

    _means: Means
    _portal: Portal

    execute = Asked(jobs.execute)
    get = Asked(jobs.get)
    list = Listed(jobs.list_)
    stream = Followed(jobs.stream)
    watch = Followed(jobs.watch)
    replay = Followed(jobs.replay)
    cancel = Asked(jobs.cancel)
    rate_limit_status = Asked(jobs.rate_limit_status)
    demonstration = Followed(jobs.demonstration)
    create_webhook = Asked(webhooks.create_for_jobs)
    list_webhooks = Asked(webhooks.list_for_jobs)
    get_webhook = Asked(webhooks.get_for_jobs)
    delete_webhook = Asked(webhooks.delete_for_jobs)


@dataclass(frozen=True, repr=False)
class Tasks:
    """Tasks, as the orchestrator surface has them, and steering them while their agents run."""

    _means: Means
    _portal: Portal

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
class Approvals:
    """What waits for people, and their decisions."""

    _means: Means
    _portal: Portal

    pending = Listed(approvals.pending)
    history = Listed(approvals.history)
    get = Asked(approvals.get)
    approve = Asked(approvals.approve)
    reject = Asked(approvals.reject)


@dataclass(frozen=True, repr=False)
class Events:
    """Events that programs tell one another."""

    _means: Means
    _portal: Portal

    publish = Asked(events.publish)


@dataclass(frozen=True, repr=False)
class Traces:
    """Everything that carries one trace id."""

    _means: Means
    _portal: Portal

    get = Asked(events.trace)


@dataclass(frozen=True, repr=False)
class Webhooks:
    """Webhooks of the tenant, and what was sent to them."""

    _means: Means
    _portal: Portal

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
