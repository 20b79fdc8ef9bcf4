"""The approvals service put together: the only file that names concrete things."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trunkline.bus import connect
from trunkline.contracts.approval import ApprovalPolicy
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline.runtime.health import beside
from trunkline_approvals.adapters.expiry_timers import ExpiryTimers
from trunkline_approvals.handlers.answer_command import AnswerCommand
from trunkline_approvals.handlers.ask_for_release import AskForRelease
from trunkline_approvals.handlers.asking import Asking
from trunkline_approvals.handlers.expire_approval import Expire
from trunkline_approvals.handlers.question_news import QuestionNews
from trunkline_approvals.handlers.run_news import RunNews
from trunkline_approvals.handlers.task_news import TaskNews
from trunkline_approvals.model import Cue, Match, Rule, State, decide, evolve
from trunkline_approvals.settings import PolicySetting, Settings
from trunkline_approvals.subscriptions import SERVICE, subscribe, subscribe_questions


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Entered, it hears; left, it has finished what was begun. Raises Unavailable."""
    async with connect(settings, SERVICE, beside(settings, SERVICE)) as bus:
        approvals: Actor[State, Cue] = Actor(bus.log, decide, evolve)
        expiries = ExpiryTimers(bus.timers, SERVICE)
        asking = Asking(approvals, expiries, [as_rule(policy) for policy in settings.approval_policies])
        ask_for_release = AskForRelease(bus.log, asking, now)
        answer = AnswerCommand(approvals, asking, ask_for_release, now)
        runs = RunNews(approvals, bus.log, asking, now)
        tasks = TaskNews(approvals, ask_for_release, runs, now)
        subscribe(bus.inlet, answer, tasks, runs, Expire(approvals, expiries, now))
        subscribe_questions(bus.inlet, QuestionNews(approvals, bus.log, asking, now))
        await bus.inlet.start(SERVICE)
        yield


def as_rule(setting: PolicySetting) -> Rule:
    """A policy of the settings as the model knows it."""
    match = setting.match
    return Rule(
        policy=ApprovalPolicy.model_validate(setting.model_dump()),
        match=Match(match.kinds, match.priorities, match.types, match.surfaces, match.about),
        verdict=setting.verdict,
    )
