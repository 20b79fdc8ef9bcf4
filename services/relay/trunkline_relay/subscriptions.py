"""What the relay hears: two queries. What happened it reads from the log itself, since every replica needs all of it."""

from __future__ import annotations

from typing import Final

from trunkline.bus import Inlet
from trunkline.contracts.views import GetTask, ListTasks
from trunkline_relay.handlers.answer_get_task import AnswerGetTask
from trunkline_relay.handlers.answer_list_tasks import AnswerListTasks

SERVICE: Final = "relay"


def subscribe(inlet: Inlet, get_task: AnswerGetTask, list_tasks: AnswerListTasks) -> None:
    inlet.command(SERVICE, GetTask, get_task)
    inlet.command(SERVICE, ListTasks, list_tasks)
