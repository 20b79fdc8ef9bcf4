"""What the approvals service hears: two commands and its own timer."""

from __future__ import annotations

from typing import Final

from trunkline.bus import Inlet
from trunkline.contracts.approval import DecideApproval, RequestApproval
from trunkline_approvals.handlers.answer_command import AnswerCommand
from trunkline_approvals.handlers.expire_approval import Expire
from trunkline_approvals.model import ExpireApproval

SERVICE: Final = "approvals"


def subscribe(inlet: Inlet, answer: AnswerCommand, expire: Expire) -> None:
    inlet.command(SERVICE, RequestApproval, answer.request, stores=True)
    inlet.command(SERVICE, DecideApproval, answer.decide, stores=True)
    inlet.timer(SERVICE, "expire", ExpireApproval, expire)
