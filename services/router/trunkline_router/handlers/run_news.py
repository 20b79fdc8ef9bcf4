"""How a run goes is news for its task."""

from __future__ import annotations

from trunkline.bus import Stored
from trunkline.contracts import subjects
from trunkline.contracts.message import Fact
from trunkline.contracts.run import RunClaimed, RunFailed, RunGoesOn, RunStopped, RunSucceeded, RunWaits
from trunkline_router.handlers.task_life import TaskLife
from trunkline_router.handlers.waits import Waits
from trunkline_router.model import Happening, RunBegan, RunEnded, RunWasStopped
from trunkline_router.ports import DueTask

NEWS = (RunClaimed, RunSucceeded, RunFailed, RunStopped, RunWaits, RunGoesOn)
"""The few facts of a run that its task hears of."""


class RunNews:
    def __init__(self, life: TaskLife, waits: Waits) -> None:
        self._life = life
        self._waits = waits

    async def on(self, stored: Stored) -> None:
        names = subjects.parse_event(stored.subject)
        due = DueTask(tenant=names.tenant, task=names.task)
        facts = stored.record.facts
        if any(isinstance(fact, RunWaits | RunGoesOn | RunFailed) for fact in facts):
            await self._waits.catch_up(due)  # a failure, too, may be heard before what the run said of waiting
        for fact in facts:
            happening = news(fact)
            if happening is not None:
                await self._life.happened(due, happening)


def news(fact: Fact) -> Happening | None:
    """What a fact of a run means for its task; most mean nothing."""
    match fact:
        case RunClaimed():
            return RunBegan(fact.attempt)
        case RunSucceeded():
            return RunEnded(fact.attempt, result=fact.result)
        case RunFailed():
            return RunEnded(fact.attempt, code=fact.code, error=fact.error, recoverable=fact.recoverable)
        case RunStopped():
            return RunWasStopped(fact.attempt)
        case _:
            return None
