"""What the approvals service hears: three commands, tasks that are held, runs that want something allowed, and its own timer."""

from __future__ import annotations

from typing import Final

from trunkline.bus import Inlet
from trunkline.contracts import subjects
from trunkline.contracts.approval import DecideApproval, OpenApproval, RequestApproval
from trunkline.contracts.instance import InstanceAsked, InstanceMoved, InstanceSaid, InstanceTold
from trunkline_approvals.handlers import run_news, task_news
from trunkline_approvals.handlers.answer_command import AnswerCommand
from trunkline_approvals.handlers.expire_approval import Expire
from trunkline_approvals.handlers.run_news import RunNews
from trunkline_approvals.handlers.task_news import TaskNews
from trunkline_approvals.model import ExpireApproval
from trunkline_approvals.ports import QuestionEar

SERVICE: Final = "approvals"


def subscribe(inlet: Inlet, answer: AnswerCommand, tasks: TaskNews, runs: RunNews, expire: Expire) -> None:
    inlet.command(SERVICE, RequestApproval, answer.request, stores=True)
    inlet.command(SERVICE, OpenApproval, answer.open, stores=True)
    inlet.command(SERVICE, DecideApproval, answer.decide, stores=True)
    inlet.facts("approvals-tasks", subjects.TASK, tasks.on, task_news.NEWS)
    inlet.facts("approvals-runs", run_news.RUN, runs.on, run_news.NEWS)
    inlet.timer(SERVICE, "expire", ExpireApproval, expire)


def subscribe_questions(inlet: Inlet, ear: QuestionEar) -> None:
    """Declare what is heard of agents elsewhere that ask people for input."""
    inlet.facts("approvals-instances", subjects.INSTANCE, ear.on, (InstanceSaid, InstanceAsked, InstanceTold, InstanceMoved))
