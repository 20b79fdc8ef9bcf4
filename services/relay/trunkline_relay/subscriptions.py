"""What the relay hears: eight queries, which it answers from what it reads in the log itself, and all that has to do with webhooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from trunkline.bus import Elsewhere, How, Inlet
from trunkline.bus.streams import DEAD, DELIVERIES, EVENTS
from trunkline.contracts import subjects
from trunkline.contracts.approval_views import GetApproval, ListApprovals
from trunkline.contracts.dispatch import ReportWorkflowRun
from trunkline.contracts.dispatch_views import ListDispatches
from trunkline.contracts.integrity import GetIntegrity
from trunkline.contracts.letters import DiscardLetter, GetLetter, LetterKind, ListLetters, RequeueLetter
from trunkline.contracts.message import Accepted
from trunkline.contracts.task import ENDS, Assignment, Executor, TaskAssigned, TaskReleased, TaskStopRequested
from trunkline.contracts.usage import GetUsage
from trunkline.contracts.view_rows import ReadRows
from trunkline.contracts.views import CountTasks, GetTask, GetTrace, ListTasks
from trunkline.contracts.webhook import (
    SERVICE,
    ChangeWebhook,
    DeleteWebhook,
    DeliverLater,
    GetDelivery,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    RedeliverMany,
    RegisterWebhook,
    RotateSecret,
    VerifyLater,
    VerifyWebhook,
)
from trunkline_relay.handlers.answer_count_tasks import AnswerCountTasks
from trunkline_relay.handlers.answer_get_approval import AnswerGetApproval
from trunkline_relay.handlers.answer_get_task import AnswerGetTask
from trunkline_relay.handlers.answer_list_approvals import AnswerListApprovals
from trunkline_relay.handlers.answer_list_tasks import AnswerListTasks
from trunkline_relay.handlers.answer_read_rows import AnswerReadRows
from trunkline_relay.handlers.answer_trace import AnswerTrace
from trunkline_relay.handlers.answer_usage import AnswerUsage
from trunkline_relay.handlers.change_webhooks import ChangeWebhooks
from trunkline_relay.handlers.deliver import Deliver
from trunkline_relay.handlers.handle_letters import HandleLetters
from trunkline_relay.handlers.show_letters import ShowLetters
from trunkline_relay.handlers.show_webhooks import ShowWebhooks
from trunkline_relay.handlers.tell_webhooks import TellWebhooks
from trunkline_relay.handlers.verify_address import VerifyAddress
from trunkline_relay.model.trying import to_do
from trunkline_relay.ports import DispatchEar, DueDispatch, Views

__all__ = ["SERVICE", "subscribe", "subscribe_dispatches", "subscribe_to_desk", "subscribe_to_news"]

HANDS: Final = 1024
"""Deliveries, and addresses that are asked, in hand at once: as many hosts as that may be slow before one of them delays another."""


def subscribe(inlet: Inlet, views: Views, settled: Callable[[], Awaitable[None]]) -> None:
    inlet.command(SERVICE, GetTask, AnswerGetTask(views, settled))
    inlet.command(SERVICE, ListTasks, AnswerListTasks(views, settled))
    inlet.command(SERVICE, CountTasks, AnswerCountTasks(views, settled))
    inlet.command(SERVICE, GetTrace, AnswerTrace(views, settled))
    inlet.command(SERVICE, ReadRows, AnswerReadRows(views, settled))
    inlet.command(SERVICE, GetUsage, AnswerUsage(views, settled))
    inlet.command(SERVICE, GetApproval, AnswerGetApproval(views, settled))
    inlet.command(SERVICE, ListApprovals, AnswerListApprovals(views, settled))


def subscribe_to_desk(inlet: Inlet, change: ChangeWebhooks, show: ShowWebhooks) -> None:
    inlet.command(SERVICE, RegisterWebhook, change.register, stores=True)
    inlet.command(SERVICE, ChangeWebhook, change.change, stores=True)
    inlet.command(SERVICE, RotateSecret, change.rotate, stores=True)
    inlet.command(SERVICE, VerifyWebhook, change.verify, stores=True)
    inlet.command(SERVICE, DeleteWebhook, change.delete, stores=True)
    inlet.command(SERVICE, GetWebhook, show.get)
    inlet.command(SERVICE, ListWebhooks, show.page)
    inlet.command(SERVICE, ListDeliveries, show.deliveries)
    inlet.command(SERVICE, GetDelivery, show.delivery)
    inlet.command(SERVICE, Redeliver, show.redeliver)
    inlet.command(SERVICE, RedeliverMany, show.redeliver_many)


def subscribe_to_news(inlet: Inlet, tell: TellWebhooks, deliver: Deliver, verify: VerifyAddress) -> None:
    inlet.stored(EVENTS, "relay-webhooks", tell, How(tell.passed, HANDS, calm=tell.calm))
    inlet.stored(DELIVERIES, "relay-deliveries", deliver.fresh, How(lambda _, body: not to_do(body), HANDS))
    inlet.timer(SERVICE, "deliver", DeliverLater, deliver.due, How(hands=HANDS))
    inlet.timer(SERVICE, "verify", VerifyLater, verify, How(hands=HANDS))


def subscribe_dispatches(inlet: Inlet, ear: DispatchEar) -> None:
    inlet.command(SERVICE, ReportWorkflowRun, ear.report, stores=True)
    inlet.command(SERVICE, ListDispatches, ear.list)
    news = (TaskAssigned, TaskReleased, TaskStopRequested, *ENDS)
    inlet.facts("relay-tasks", subjects.TASK, ear.task_news, news, Elsewhere(never_dispatched))
    inlet.timer(SERVICE, "dispatch", DueDispatch, ear.due)


def never_dispatched(asked: Assignment) -> bool:
    return asked.executor is not Executor.GITHUB_WORKFLOW


def subscribe_to_letters(inlet: Inlet, show: ShowLetters, handle: HandleLetters) -> None:
    inlet.command(SERVICE, ListLetters, show.page)
    inlet.command(SERVICE, GetLetter, show.get)
    inlet.command(SERVICE, RequeueLetter, handle.requeue, stores=True)
    inlet.command(SERVICE, DiscardLetter, handle.discard, stores=True)
    inlet.stored(DEAD, "relay-letters", handle.carry_on, How(lambda subject, _: not is_wish(subject), HANDS))


def is_wish(subject: str) -> bool:
    """Whether it says what somebody did about a letter, and is no letter itself."""
    return subject.split(".")[1] in set(LetterKind)


def subscribe_to_witness(inlet: Inlet, get: Callable[[GetIntegrity], Awaitable[Accepted]]) -> None:
    inlet.command(SERVICE, GetIntegrity, get)
