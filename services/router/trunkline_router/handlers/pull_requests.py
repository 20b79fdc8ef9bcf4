"""What a forge says became of a pull request is kept beside the task that opened it."""

from __future__ import annotations

from typing import Final

from trunkline.bus import Log
from trunkline.contracts import subjects
from trunkline.contracts.errors import NotFound
from trunkline.contracts.forge import PullRequestEnded, ReportPullRequest
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Accepted, Fact
from trunkline.contracts.record import Record
from trunkline_router.model import opened_here

RUN: Final = "run"


class PullRequestNews:
    def __init__(self, log: Log) -> None:
        self._log = log

    async def report(self, wish: ReportPullRequest) -> Accepted:
        """The same delivery again says it once. Raises NotFound unless the task itself opened this pull request."""
        tenant, task = TenantId(wish.tenant), TaskId(wish.task_id)
        facts = [*await self._facts(tenant, task, subjects.TASK), *await self._facts(tenant, task, RUN)]
        if not opened_here(facts, wish.repo, wish.number):
            raise NotFound("no task by that id opened this pull request", code="NO_SUCH_PULL_REQUEST", task=wish.task_id)
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
