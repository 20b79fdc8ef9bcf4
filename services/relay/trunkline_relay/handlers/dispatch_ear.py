"""All that is heard about dispatches, and who acts on it."""

from __future__ import annotations

from trunkline.bus import Stored
from trunkline.contracts.dispatch import ReportWorkflowRun
from trunkline.contracts.dispatch_views import ListDispatches
from trunkline.contracts.message import Accepted
from trunkline_relay.handlers.answer_list_dispatches import AnswerListDispatches
from trunkline_relay.handlers.dispatching import Dispatching
from trunkline_relay.handlers.report_run import ReportRun
from trunkline_relay.ports import DueDispatch


class Ear:
    """ports.DispatchEar."""

    def __init__(self, dispatching: Dispatching, report: ReportRun, answer: AnswerListDispatches) -> None:
        self._dispatching = dispatching
        self._report = report
        self._answer = answer

    async def task_news(self, stored: Stored) -> None:
        await self._dispatching.task_news(stored)

    async def due(self, due: DueDispatch) -> None:
        await self._dispatching.due(due)

    async def report(self, wish: ReportWorkflowRun) -> Accepted:
        return await self._report(wish)

    async def list(self, query: ListDispatches) -> Accepted:
        return await self._answer(query)
