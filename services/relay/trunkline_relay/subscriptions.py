"""What the relay hears: seven queries. What happened it reads from the log itself, since every replica needs all of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from trunkline.bus import Inlet
from trunkline.contracts.approval_views import GetApproval, ListApprovals
from trunkline.contracts.usage import GetUsage
from trunkline.contracts.views import CountTasks, GetTask, GetTrace, ListTasks
from trunkline_relay.handlers.answer_count_tasks import AnswerCountTasks
from trunkline_relay.handlers.answer_get_approval import AnswerGetApproval
from trunkline_relay.handlers.answer_get_task import AnswerGetTask
from trunkline_relay.handlers.answer_list_approvals import AnswerListApprovals
from trunkline_relay.handlers.answer_list_tasks import AnswerListTasks
from trunkline_relay.handlers.answer_trace import AnswerTrace
from trunkline_relay.handlers.answer_usage import AnswerUsage
from trunkline_relay.ports import Views

SERVICE: Final = "relay"


def subscribe(inlet: Inlet, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
    inlet.command(SERVICE, GetTask, AnswerGetTask(views, settled))
    inlet.command(SERVICE, ListTasks, AnswerListTasks(views, settled))
    inlet.command(SERVICE, CountTasks, AnswerCountTasks(views, settled))
    inlet.command(SERVICE, GetTrace, AnswerTrace(views, settled))
    inlet.command(SERVICE, GetUsage, AnswerUsage(views, settled))
    inlet.command(SERVICE, GetApproval, AnswerGetApproval(views, settled))
    inlet.command(SERVICE, ListApprovals, AnswerListApprovals(views, settled))
