"""Acting on several things, none of which may keep the others waiting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from trunkline.contracts.errors import Unavailable
from trunkline.telemetry.traces import going_on
from trunkline_router.ports import DueTask

T = TypeVar("T")


async def one_by_one(things: Iterable[T], act: Callable[[T], Awaitable[object]]) -> None:
    """Act on each; what cannot be done for one is done for the others all the same.

    Raises what was raised first, but Unavailable before all else: then it is no fault of theirs, and worth any number of tries.
    """
    failed: list[Exception] = []
    for thing in things:
        try:
            await act(thing)
        except Exception as error:  # told below, when the others have had their turn
            failed.append(error)
    if failed:
        raise next((error for error in failed if isinstance(error, Unavailable)), failed[0])


async def each_in_its_trace(tasks: Iterable[DueTask], act: Callable[[DueTask], Awaitable[object]]) -> None:
    """The same for tasks whose alarms lay in one message: what is done for each goes on from where its own was set."""

    async def ring(due: DueTask) -> None:
        with going_on(due.trace, due.tenant, due.task):
            await act(due)

    await one_by_one(tasks, ring)
