"""Somebody says how a run stands: the workflow itself, or GitHub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trunkline.contracts.dispatch import ReportWorkflowRun, SeenBy
from trunkline.contracts.dispatch_views import DispatchView
from trunkline.contracts.errors import NotFound
from trunkline.contracts.forge import one_name
from trunkline.contracts.message import Accepted
from trunkline_relay.handlers.dispatch_log import DispatchLog
from trunkline_relay.handlers.dispatching import Dispatching
from trunkline_relay.model.dispatch import Seen, Tell
from trunkline_relay.ports import Dispatches, DueDispatch

NOBODY = "-"


class ReportRun:
    def __init__(self, book: DispatchLog, views: Dispatches, dispatching: Dispatching, settled: Callable[[], Awaitable[None]]) -> None:
        self._book = book
        self._views = views
        self._dispatching = dispatching
        self._settled = settled

    async def __call__(self, wish: ReportWorkflowRun) -> Accepted:
        """What GitHub tells counts as seen; of what a key's holder tells the number alone is kept, until GitHub says that it is so.

        Raises NotFound RUN_NOT_OURS, Unavailable.
        """
        due = DueDispatch(tenant=wish.tenant, task=await self._task(wish), attempt=0)
        dispatch = await self._book.dispatch(due)
        if dispatch is None or one_name(dispatch.repo) != one_name(wish.repo):
            raise _not_ours()
        run, told = wish.run, wish.how is SeenBy.TOLD
        decided = await self._book.receive(due, Tell(run.run_id, run.run_attempt) if told else Seen(run, wish.how))
        if decided.facts:
            await self._dispatching.arrange(due)
        return Accepted(seq=decided.seq)

    async def _task(self, wish: ReportWorkflowRun) -> str:
        if wish.task_id != NOBODY:
            return wish.task_id
        view = self._of_run(wish)
        if view is None:  # or it was seen a moment ago, and the views do not hold that yet
            await self._settled()
            view = self._of_run(wish)
        if view is None:
            raise _not_ours()
        return view.task_id

    def _of_run(self, wish: ReportWorkflowRun) -> DispatchView | None:
        return self._views.dispatch_of_run(wish.tenant, one_name(wish.repo), wish.run.run_id)


def _not_ours() -> NotFound:
    return NotFound("nothing of ours started that run", code="RUN_NOT_OURS")
