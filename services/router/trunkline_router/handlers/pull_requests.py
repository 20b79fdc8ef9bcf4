"""What a forge says became of a pull request is kept beside the task that opened it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.errors import NotFound
from trunkline.contracts.forge import PullRequestEnded, ReportPullRequest
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted, Fact
from trunkline.contracts.record import Record
from trunkline_router.model import opened_here, opening_here
from trunkline_router.ports import DuePull, Timers

log = structlog.get_logger()

RUN: Final = "run"
SOON_S: Final = 2.0
LATER_S: Final = 300.0
MOST_TRIES: Final = 300
"""A day: longer than any run waits for its forge."""


class PullRequestNews:
    def __init__(self, log: Log, timers: Timers, now: Callable[[], datetime]) -> None:
        self._log = log
        self._timers = timers
        self._now = now

    async def report(self, wish: ReportPullRequest) -> Accepted:
        """The same delivery again says it once. Raises NotFound unless the task opened this pull request, or may be about to say so."""
        return await self._report(DuePull(wish=wish))

    async def again(self, due: DuePull) -> None:
        """A forge tells it once only: what came before the run wrote down that it opened the pull request is looked at again."""
        try:
            await self._report(due)
        except NotFound:
            log.info("pull_request.not_ours", task=due.wish.task_id, number=due.wish.number)

    async def _report(self, due: DuePull) -> Accepted:
        wish = due.wish
        tenant, task = TenantId(wish.tenant), TaskId(wish.task_id)
        facts = [*await self._facts(tenant, task, subjects.TASK), *await self._facts(tenant, task, RUN)]
        if opened_here(facts, wish.repo, wish.number):
            return await self._say(tenant, task, wish)
        if opening_here(facts, wish.repo) and due.tries < MOST_TRIES:
            pause = min(SOON_S * 2.0 ** min(due.tries, 10), LATER_S)
            await self._timers.pull(due.model_copy(update={"tries": due.tries + 1}), self._now() + timedelta(seconds=pause))
            return Accepted(seq=0)
        raise NotFound("no task by that id opened this pull request", code="NO_SUCH_PULL_REQUEST", task=wish.task_id)

    async def _say(self, tenant: TenantId, task: TaskId, wish: ReportPullRequest) -> Accepted:
        subject, name = subjects.event(tenant, task, subjects.PULL), f"pull:{tenant}:{task}:{wish.delivery}"
        # The store knows a repeat for some minutes; a forge may deliver again after days.
        said = next((stored.seq for stored in (await self._log.load(subject)).records if stored.id == name), 0)
        if said:
            return Accepted(seq=said)
        ended = PullRequestEnded(repo=wish.repo, number=wish.number, merged=wish.merged, by=wish.by)
        return Accepted(seq=await self._log.say(subject, Record(at=wish.at, cause=wish.type, facts=(ended,)), id=name))

    async def _facts(self, tenant: TenantId, task: TaskId, part: str) -> list[Fact]:
        loaded = await self._log.load(subjects.event(tenant, task, part))
        return [fact for stored in loaded.records for fact in stored.record.facts]
