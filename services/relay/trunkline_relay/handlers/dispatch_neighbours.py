"""What else goes on in a repository: which runs are other dispatches', and which dispatches may have a run that nobody knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from trunkline.contracts.dispatch import WorkflowRun
from trunkline.contracts.forge import one_name
from trunkline_relay.handlers.dispatch_log import DispatchLog
from trunkline_relay.model.dispatch import Dispatch
from trunkline_relay.model.run_matching import Others
from trunkline_relay.ports import Dispatches, DueDispatch

MOST_OTHERS: Final = 10


class Neighbours:
    """`settled` returns when the views hold all that was stored before."""

    def __init__(self, book: DispatchLog, views: Dispatches, settled: Callable[[], Awaitable[None]]) -> None:
        self._book = book
        self._views = views
        self._settled = settled

    async def of(self, due: DueDispatch, dispatch: Dispatch, runs: Iterable[WorkflowRun]) -> Others:
        """How many others wait for their run, and of how many of those the agent has called."""
        taken, others = self.taken(due, dispatch, runs), self._open(due, dispatch)
        if len(others) > MOST_OTHERS:
            return Others(taken, len(others), len(others))
        return Others(taken, len(others), sum([await self._book.called(other) for other in others]))

    async def rivals(self, due: DueDispatch, dispatch: Dispatch, run: WorkflowRun, runs: Iterable[WorkflowRun]) -> Others:
        """The same for one run: whoever names another one does not wait for this. Raises Unavailable."""
        await self._settled()
        others = self._open(due, dispatch)
        waiting = len(others) if len(others) > MOST_OTHERS else sum([await self._may_have(other, run) for other in others])
        return Others(self.taken(due, dispatch, [run, *runs]), waiting)

    def taken(self, due: DueDispatch, dispatch: Dispatch, runs: Iterable[WorkflowRun]) -> set[int]:
        repo = one_name(dispatch.repo)
        owners = ((run.run_id, self._views.dispatch_of_run(due.tenant, repo, run.run_id)) for run in runs)
        return {number for number, owner in owners if owner is not None and owner.task_id != due.task}

    def _open(self, due: DueDispatch, dispatch: Dispatch) -> list[DueDispatch]:
        views = self._views.open_dispatches(due.tenant, one_name(dispatch.repo))
        return [DueDispatch(tenant=due.tenant, task=view.task_id, attempt=0) for view in views if view.task_id != due.task]

    async def _may_have(self, other: DueDispatch, run: WorkflowRun) -> bool:
        dispatch = await self._book.dispatch(other)
        if dispatch is None:
            return False
        known = dispatch.run.run_id if dispatch.run else dispatch.told.run_id if dispatch.told else run.run_id
        return known == run.run_id
