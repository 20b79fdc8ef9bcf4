"""Where handlers work: coroutines in the program's own event loop, plain functions each in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Final

from trunkline.sdk.agents.context import BlockingContext, Cancelled, Context, Ties
from trunkline.sdk.agents.failing import AgentError
from trunkline.sdk.agents.outcomes import Ended, Outcome, Raised, Returned
from trunkline.sdk.agents.signatures import Handler

_OVER: Final = "the program's event loop is over"


class Workshop:
    """Made in the loop that coroutines are to work in; `begin` is called from another thread."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self._group = group

    def begin(self, handler: Handler, ties: Ties) -> Work:
        """The payload is read where the handler works: validators are its writer's too."""
        if handler.awaits:
            work = Work(ties, self._cancel)
            self._post(lambda: self._start(work, _awaited(handler, Context(ties))), work)
            return work
        context = BlockingContext(ties)
        work = Work(ties, lambda work: context.stop())
        place = copy_context()
        # Threads of a pool are waited for when the program ends, for ever where one hangs.
        target = lambda: place.run(work.do, lambda: _called(handler, context))  # noqa: E731
        try:
            threading.Thread(target=target, name=f"task {ties.task.task_id}", daemon=True).start()
        except RuntimeError as error:  # the machine gives no more threads
            work.end(Raised(error))
        return work

    def _post(self, what: Callable[[], None], work: Work) -> None:
        try:
            self.loop.call_soon_threadsafe(what)
        except RuntimeError:
            work.end(Raised(AgentError(_OVER)))

    def _start(self, work: Work, coming: Coroutine[Any, Any, object]) -> None:
        try:
            work.task = self._group.create_task(work.follow(coming), name=work.ties.task.task_id)
        except RuntimeError:
            coming.close()
            work.end(Raised(AgentError(_OVER)))

    def _cancel(self, work: Work) -> None:
        def cancel() -> None:
            if work.task is not None:
                work.task.cancel(str(work.ties.cancelled or ""))

        self._post(cancel, work)


class Work:
    """One handler at work. `done` ends with how it ended, never with an exception."""

    def __init__(self, ties: Ties, cancel: Callable[[Work], None]) -> None:
        self.ties = ties
        self.done: Future[Outcome] = Future()
        self.task: asyncio.Task[None] | None = None
        self._cancel = cancel

    def stop(self, why: Cancelled) -> None:
        """The handler is to end: asyncio.CancelledError where it waits. From any thread, and again, should it not listen."""
        self.ties.cancelled = self.ties.cancelled or why
        self._cancel(self)

    async def follow(self, coming: Coroutine[Any, Any, object]) -> None:
        try:
            self.end(Returned(await coming))
        except asyncio.CancelledError:
            self.end(Ended())
        except KeyboardInterrupt:  # meant for the whole program
            self.end(Ended())
            raise
        except BaseException as error:  # whatever it is: it ends this task, and no other
            self.end(Raised(error))

    def do(self, call: Callable[[], object]) -> None:
        try:
            self.end(Returned(call()))
        except asyncio.CancelledError:
            self.end(Ended())
        except BaseException as error:  # else nobody would ever hear that the thread is over
            self.end(Raised(error))

    def end(self, outcome: Outcome) -> None:
        if not self.done.done():
            self.done.set_result(outcome)


async def _awaited(handler: Handler, context: Context) -> object:
    """Raises PayloadError, and whatever the handler raises."""
    return await handler.function(**handler.arguments(context.task.payload, context))


def _called(handler: Handler, context: BlockingContext) -> object:
    """Raises as `_awaited`."""
    return handler.function(**handler.arguments(context.task.payload, context))
