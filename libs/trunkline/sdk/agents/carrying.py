"""One leased task, from the lease to the last report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from trunkline.contracts.agent import AgentReported, Held, Item, Leased, Report, Say, Text
from trunkline.contracts.message import Message
from trunkline.sdk.agents.asking import LEASE_LOST as LOST
from trunkline.sdk.agents.asking import Door
from trunkline.sdk.agents.context import Begin, Cancelled, Ties
from trunkline.sdk.agents.failing import AwayError, RefusedError, TaskError, words_of
from trunkline.sdk.agents.outcomes import LEASE_LOST, Ended, Outcome, Raised, report_of
from trunkline.sdk.agents.signatures import Handler
from trunkline.sdk.agents.speaking import Speech
from trunkline.sdk.agents.verbs import Verbs
from trunkline.sdk.agents.workshop import Work, Workshop

log: Final = logging.getLogger("trunkline.agent")
SAID_TOO_MUCH: Final = ("TOO_MUCH_SAID", "TOO_MUCH_AT_ONCE")
TOLD_WITHIN: Final = 120.0
"""Seconds for which a report, or what was said, is repeated while nobody answers."""


@dataclass(frozen=True, slots=True)
class Means:
    """What every task of an agent is carried with. `cleanup_s`: for a handler that is to end, twice."""

    door: Door
    shop: Workshop
    begin: Begin
    cleanup_s: float


class Carrying:
    """`run` returns when the handler is over and the control plane knows it. Belongs to the loop of the bus."""

    def __init__(self, leased: Leased, handler: Handler, means: Means) -> None:
        self.leased = leased
        self.held = Held(task_id=leased.task_id, lease=leased.lease)
        self.good_until = 0.0
        """By this loop's clock: the lease is over then, unless a beat is answered before."""
        self.reported = False
        """Nothing more is owed: it needs no beat."""
        self._handler = handler
        self._means = means
        self._speech = Speech()
        self._ties = Ties(leased, Verbs(means.door, leased, self.lose), self._speech, means.begin)
        self._to_end = asyncio.Event()

    @property
    def in_loop(self) -> bool:
        """Whether it works in the loop that all coroutines share."""
        return self._handler.awaits

    def cancel(self, why: Cancelled) -> None:
        if self._ties.cancelled is None:
            log.info("agent.task_to_end", extra={"task": self.leased.task_id, "why": str(why)})
            self._ties.cancelled = why
            self._to_end.set()

    def lose(self, reason: str = "the control plane gave it to somebody else, or it is over") -> None:
        self.cancel(Cancelled(LEASE_LOST, reason=reason))

    def notice(self, sentence: str) -> None:
        self._speech.add(Text(text=sentence, is_error=True))

    async def run(self) -> None:
        log.info("agent.task_taken", extra={"task": self.leased.task_id, "type": self.leased.type, "attempt": self.leased.attempt})
        if not await self._begun():
            self.reported = True
            return
        async with asyncio.TaskGroup() as group:
            pump = group.create_task(self._speech.pump(self._say))
            try:
                outcome = await self._worked(group)
            finally:
                self._speech.close()
            await asyncio.wait({pump}, timeout=TOLD_WITHIN)
            pump.cancel()
        await self._conclude(outcome)

    async def _begun(self) -> bool:
        """Whether it is ours to do: a control plane of before knows nothing of work that begins with its lease."""
        started = Report(task_id=self.held.task_id, lease=self.held.lease, reported=AgentReported.STARTED)
        return self.leased.begun or await self._report(started)

    async def _worked(self, group: asyncio.TaskGroup) -> Outcome:
        if self._ties.cancelled is not None:
            return Ended()
        work = self._means.shop.begin(self._handler, self._ties)
        done, to_end = asyncio.wrap_future(work.done), group.create_task(self._to_end.wait())
        try:
            either: set[asyncio.Future[Any]] = {done, to_end}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                await self._ended(work, done)
            return await asyncio.shield(done)
        finally:
            to_end.cancel()
            if not work.done.done():
                work.stop(Cancelled(LEASE_LOST, reason="the agent ends"))

    async def _ended(self, work: Work, done: asyncio.Future[Outcome]) -> None:
        """Told to end, and once more; then it holds its place until it does."""
        assert self._ties.cancelled is not None
        for _ in range(2):
            work.stop(self._ties.cancelled)
            await asyncio.wait({done}, timeout=self._means.cleanup_s)
            if done.done():
                return
        self.reported = True
        log.error("agent.task_does_not_end", extra={"task": self.leased.task_id, "handler": self._handler.name})

    async def _conclude(self, outcome: Outcome) -> None:
        if isinstance(outcome, Raised) and self._ties.cancelled is None:
            self._tell(outcome.error)
        report = None if self.reported else report_of(self.held, outcome, self._ties.cancelled)
        if report is None and self._speech.rest:
            await self._say(self._speech.rest)
        elif report is not None and await self._report(report.model_copy(update={"said": tuple(self._speech.rest)})):
            log.info("agent.task_over", extra={"task": self.leased.task_id, "reported": str(report.reported)})
        self.reported = True

    def _tell(self, error: BaseException) -> None:
        said = {"task": self.leased.task_id, "why": f"{type(error).__name__}: {words_of(error)}"}
        if isinstance(error, TaskError):  # meant so
            log.warning("agent.task_failed", extra=said)
        else:
            log.error("agent.handler_raised", exc_info=error, extra=said)

    async def _report(self, report: Report) -> bool:
        """Whether the control plane took it."""
        try:
            await self._means.door.ask("report", report, Message, within=TOLD_WITHIN)
        except (RefusedError, AwayError) as error:
            if report.said and isinstance(error, RefusedError) and error.code in SAID_TOO_MUCH:
                return await self._report(report.model_copy(update={"said": ()}))
            log.warning("agent.report_refused", extra={"task": self.leased.task_id, "reported": str(report.reported), "why": str(error)})
            return False
        return True

    async def _say(self, items: Sequence[Item]) -> None:
        say = Say(task_id=self.held.task_id, lease=self.held.lease, id=uuid4().hex, items=tuple(items))
        try:
            await self._means.door.ask("say", say, Message, within=TOLD_WITHIN)
        except (RefusedError, AwayError) as error:
            log.warning("agent.say_refused", extra={"task": self.leased.task_id, "why": str(error)})
            if isinstance(error, RefusedError) and error.code == LOST:
                self.lose()
