"""Carries dispatches on: whatever wakes it, it sees how one stands, does what comes next, and sets the timer for what comes later."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

import structlog

from trunkline.bus import Stored
from trunkline.contracts import subjects
from trunkline.contracts.errors import DomainError
from trunkline.contracts.task import ENDS, Executor, TaskAssigned, TaskReleased, TaskSubmitted
from trunkline_relay.handlers.dispatch_log import DispatchLog
from trunkline_relay.handlers.end_dispatch import EndDispatch
from trunkline_relay.handlers.following import Following
from trunkline_relay.handlers.start_workflow import StartWorkflow
from trunkline_relay.model.dispatch import Dispatch
from trunkline_relay.model.dispatch_steps import Cancel, Look, Rest, Revoke, Scene, Send, Stop, Terms, Wait, next_step, rarely
from trunkline_relay.ports import DispatchTimers, DueDispatch

log = structlog.get_logger()
MOST_STEPS: Final = 8
"""Done at one waking; what comes then waits for the next."""
LONGEST_LOOK_S: Final = 3600.0
OVER: Final = "its task is over"


class Ways(NamedTuple):
    """What may be done for a dispatch."""

    start: StartWorkflow
    follow: Following
    end: EndDispatch


class Dispatching:
    def __init__(self, book: DispatchLog, ways: Ways, timers: DispatchTimers, terms: Terms) -> None:
        self._book = book
        self._ways = ways
        self._timers = timers
        self._terms = terms
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def task_news(self, stored: Stored) -> None:
        """A task may begin, is to stop, or is over."""
        names, facts = subjects.parse_event(stored.subject), stored.record.facts
        if any(isinstance(fact, TaskSubmitted) and fact.assignment.executor is not Executor.GITHUB_WORKFLOW for fact in facts):
            return
        due = DueDispatch(tenant=names.tenant, task=names.task, attempt=0)
        dispatch = await self._book.dispatch(due)
        if dispatch is not None and any(isinstance(fact, ENDS) for fact in facts):
            await self._ways.end.revoke(due, OVER)  # does not wait for a request that is under way
        if any(isinstance(fact, TaskAssigned | TaskReleased) for fact in facts):
            dispatch = await self._wanted(due, dispatch)
        if dispatch is None:
            return
        if self._ways.start.busy:
            await self._timers.set(due, self._book.now())
        else:
            await self._carry(due, looks=False)

    async def _wanted(self, due: DueDispatch, dispatch: Dispatch | None) -> Dispatch | None:
        """As it is once it is said that it is wanted, where it is to begin."""
        task = await self._book.task(due)
        if task is None or not task.to_start or (dispatch is not None and dispatch.attempt >= task.attempt):
            return dispatch
        await self._ways.start.want(due, task)
        return await self._book.dispatch(due)

    async def due(self, due: DueDispatch) -> None:
        await self._carry(due, looks=True)

    async def arrange(self, due: DueDispatch) -> None:
        """Something was told: what comes next is done by the timer."""
        scene = await self._book.scene(due)
        step = next_step(scene, self._terms) if scene else Rest()
        if scene and not isinstance(step, Rest):
            await self._timers.set(due, self._later(due, scene, step) if isinstance(step, Look) and not step.now else scene.now)

    async def _carry(self, due: DueDispatch, *, looks: bool) -> None:
        """`looks`: a look that has time is due now."""
        turn = self._turns.setdefault(f"{due.tenant}/{due.task}", asyncio.Lock())
        async with turn:
            again = await self._carried(due, looks=looks)
            if again is not None:
                await self._timers.set(*again)

    async def _carried(self, due: DueDispatch, *, looks: bool) -> tuple[DueDispatch, datetime] | None:
        """As far as it can be carried now; and when it is carried on."""
        asked: datetime | None = None
        for _ in range(MOST_STEPS):
            scene = await self._book.scene(due, asked)
            if scene is None or due.attempt not in (0, scene.dispatch.attempt):
                return None
            due = due.model_copy(update={"attempt": scene.dispatch.attempt})
            match next_step(scene, self._terms):
                case Rest():
                    return None
                case Wait(until):
                    return due, until
                case Look() as look:
                    if asked or not (looks or look.doubted or look.now):
                        return due, self._later(due, scene, look)
                    asked, wait = scene.now, await self._looked(due, scene, look)
                    if wait is not None:
                        return await self._unanswered(due, scene, look, scene.now + wait)
                    due = due.model_copy(update={"look": due.look + 1})
                case Send() | Cancel() | Stop() | Revoke() as step:
                    await self._done(due, scene, step)
                    due = due.model_copy(update={"look": 0})
        return due, self._book.now() + timedelta(seconds=self._terms.pauses.doubt)

    async def _unanswered(self, due: DueDispatch, scene: Scene, look: Look, later: datetime) -> tuple[DueDispatch, datetime]:
        """GitHub does not say how it stands: it is done without where it has been so for too long, else asked again, ever less often."""
        step = next_step(scene._replace(blind=True), self._terms)
        if isinstance(step, Cancel | Stop):
            await self._done(due, scene, step)
            return due, self._book.now()
        return due.model_copy(update={"look": due.look + 1}), later

    async def _done(self, due: DueDispatch, scene: Scene, step: Send | Cancel | Stop | Revoke) -> None:
        match step:
            case Send(number):
                if stop := await self._ways.start.send(due, scene, number):
                    await self._ways.end.give_up(due, scene, stop)
            case Cancel(number):
                await self._ways.end.cancel(due, scene, number)
            case Stop():
                await self._ways.end.give_up(due, scene, step)
            case Revoke():
                await self._ways.end.revoke(due, OVER)

    async def _looked(self, due: DueDispatch, scene: Scene, look: Look) -> timedelta | None:
        """None: GitHub said what it knows; else for how long it is left alone."""
        try:
            await (self._ways.follow.doubt(due, scene) if look.doubted else self._ways.follow.look(due, scene))
        except DomainError as error:
            log.warning("dispatch.not_seen", task=due.task, repo=scene.dispatch.repo, code=error.code, error=error.message)
            return max(timedelta(seconds=_told(error)), self._terms.pauses.before_look(due.look, random.random(), rare=False))
        return None

    def _later(self, due: DueDispatch, scene: Scene, look: Look) -> datetime:
        """When it is looked at again; not after the moment at which it would be given up."""
        later = scene.now + self._terms.pauses.before_look(due.look, random.random(), rare=rarely(scene, due.look))
        if look.doubted:
            later = max(later, scene.now + timedelta(seconds=self._terms.pauses.doubt))
        return min((later, *self._terms.limits(scene)))


def _told(error: DomainError) -> float:
    wait = error.details.get("retry_after")
    return min(float(wait), LONGEST_LOOK_S) if isinstance(wait, int | float) else 0.0
