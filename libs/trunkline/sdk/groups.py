"""The verbs of an asynchronous client, in groups: each is a call bound to a wire, with the call's own signature."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from trunkline.sdk.calls import Call, Feed, Page, approvals, events, jobs, steering, tasks, webhooks
from trunkline.sdk.following import AsyncStream
from trunkline.sdk.paging import AsyncList
from trunkline.sdk.retrying import Patience
from trunkline.sdk.wire import Wire

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Means:
    """What a verb works with. `give_up` in seconds: for so long a stream may come to nothing."""

    wire: Wire
    patience: Patience
    give_up: float

    def stream(self, feed: Feed[T]) -> AsyncStream[T]:
        return AsyncStream(self.wire, feed, self.patience, self.give_up)


class Group(Protocol):
    @property
    def _means(self) -> Means: ...


class Asked(Generic[P, T]):
    """A verb that is awaited."""

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    def __get__(self, group: Group, owner: type) -> Callable[P, Coroutine[Any, Any, T]]:
        call = self._call

        @wraps(call)
        async def ask(*args: P.args, **options: P.kwargs) -> T:
            return await group._means.wire.ask(call(*args, **options))

        return ask


class Followed(Generic[P, T]):
    """A verb that gives a stream."""

    def __init__(self, feed: Callable[P, Feed[T]]) -> None:
        self._feed = feed
        self.__doc__ = feed.__doc__

    def __get__(self, group: Group, owner: type) -> Callable[P, AsyncStream[T]]:
        feed = self._feed

        @wraps(feed)
        def follow(*args: P.args, **options: P.kwargs) -> AsyncStream[T]:
            return group._means.stream(feed(*args, **options))

        return follow


class Listed(Generic[P, T]):
    """A verb that gives a list."""

    def __init__(self, call: Callable[P, Call[Page[T]]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    def __get__(self, group: Group, owner: type) -> Callable[P, AsyncList[T]]:
        call = self._call

        @wraps(call)
        def listing(*args: P.args, **options: P.kwargs) -> AsyncList[T]:
            return AsyncList(group._means.wire, call(*args, **options))

        return listing


@dataclass(frozen=True, repr=False)
class AsyncJobs:
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
    create_webhook = Asked(webhooks.create_for_jobs)
    list_webhooks = Asked(webhooks.list_for_jobs)
    get_webhook = Asked(webhooks.get_for_jobs)
    delete_webhook = Asked(webhooks.delete_for_jobs)


@dataclass(frozen=True, repr=False)
class AsyncTasks:
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
class AsyncApprovals:
    """What waits for people, and their decisions."""

    _means: Means

    pending = Listed(approvals.pending)
    history = Listed(approvals.history)
    get = Asked(approvals.get)
    approve = Asked(approvals.approve)
    reject = Asked(approvals.reject)


@dataclass(frozen=True, repr=False)
class AsyncEvents:
    """Events that programs tell one another."""

    _means: Means

    publish = Asked(events.publish)


@dataclass(frozen=True, repr=False)
class AsyncTraces:
    """Everything that carries one trace id."""

    _means: Means

    get = Asked(events.trace)


@dataclass(frozen=True, repr=False)
class AsyncWebhooks:
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
