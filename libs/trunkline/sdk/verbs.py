"""Binds calls to a client: each verb is written once, and awaited or waited for as the client's means are."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

from trunkline.sdk.blocking import List, Stream
from trunkline.sdk.calls import Call, Feed, Page
from trunkline.sdk.following import AsyncStream
from trunkline.sdk.means import Awaited, Group, Waited
from trunkline.sdk.paging import AsyncList

P = ParamSpec("P")
T = TypeVar("T")
Either = Group[Awaited] | Group[Waited]


class Asked(Generic[P, T]):
    """A verb that gives an answer."""

    def __init__(self, call: Callable[P, Call[T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, group: Group[Awaited], owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, group: Group[Waited], owner: type) -> Callable[P, T]: ...
    def __get__(self, group: Either, owner: type) -> Callable[P, object]:
        call = self._call

        @wraps(call)
        def ask(*args: P.args, **options: P.kwargs) -> object:
            return group._means.ask(call(*args, **options))

        return ask


class Followed(Generic[P, T]):
    """A verb that gives a stream."""

    def __init__(self, feed: Callable[P, Feed[T]]) -> None:
        self._feed = feed
        self.__doc__ = feed.__doc__

    @overload
    def __get__(self, group: Group[Awaited], owner: type) -> Callable[P, AsyncStream[T]]: ...
    @overload
    def __get__(self, group: Group[Waited], owner: type) -> Callable[P, Stream[T]]: ...
    def __get__(self, group: Either, owner: type) -> Callable[P, object]:
        feed = self._feed

        @wraps(feed)
        def follow(*args: P.args, **options: P.kwargs) -> object:
            return group._means.follow(feed(*args, **options))

        return follow


class Listed(Generic[P, T]):
    """A verb that gives a list."""

    def __init__(self, call: Callable[P, Call[Page[T]]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, group: Group[Awaited], owner: type) -> Callable[P, AsyncList[T]]: ...
    @overload
    def __get__(self, group: Group[Waited], owner: type) -> Callable[P, List[T]]: ...
    def __get__(self, group: Either, owner: type) -> Callable[P, object]:
        call = self._call

        @wraps(call)
        def listing(*args: P.args, **options: P.kwargs) -> object:
            return group._means.listing(call(*args, **options))

        return listing
