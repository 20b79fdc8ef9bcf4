"""The approvals service put together: the only file that names concrete things."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trunkline.bus import connect
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline_approvals.adapters.expiry_timers import ExpiryTimers
from trunkline_approvals.handlers.answer_command import AnswerCommand
from trunkline_approvals.handlers.expire_approval import Expire
from trunkline_approvals.model import Approval, ApprovalCommand, decide, evolve
from trunkline_approvals.settings import Settings
from trunkline_approvals.subscriptions import SERVICE, subscribe


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Entered, it hears; left, it has finished what was begun. Raises Unavailable."""
    async with connect(settings, SERVICE) as bus:
        approvals: Actor[Approval, ApprovalCommand] = Actor(bus.log, decide, evolve)
        expiries = ExpiryTimers(bus.timers, SERVICE)
        subscribe(bus.inlet, AnswerCommand(approvals, expiries), Expire(approvals, expiries, now))
        await bus.inlet.start(SERVICE)
        yield
