"""What the approvals service hears: three commands, the tasks that are held, and its own timer."""

from __future__ import annotations

from typing import Final

from trunkline.bus import Inlet
from trunkline.contracts import subjects
from trunkline.contracts.approval import DecideApproval, OpenApproval, RequestApproval
from trunkline.contracts.task import TaskHeld, TaskHoldDropped
from trunkline_approvals.handlers.answer_command import AnswerCommand
from trunkline_approvals.handlers.expire_approval import Expire
from trunkline_approvals.handlers.task_news import TaskNews
from trunkline_approvals.model import ExpireApproval

SERVICE: Final = "approvals"


def subscribe(inlet: Inlet, answer: AnswerCommand, news: TaskNews, expire: Expire) -> None:
    inlet.command(SERVICE, RequestApproval, answer.request, stores=True)
    inlet.command(SERVICE, OpenApproval, answer.open, stores=True)
    inlet.command(SERVICE, DecideApproval, answer.decide, stores=True)
    inlet.facts("approvals-tasks", subjects.TASK, news.on, (TaskHeld, TaskHoldDropped))
    inlet.timer(SERVICE, "expire", ExpireApproval, expire)
