"""Somebody who holds an instance's key has said which run is its own: GitHub is asked whether it can be."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog

from trunkline.contracts.dispatch import SeenBy, WorkflowRun
from trunkline.contracts.errors import NotFound
from trunkline.contracts.ids import wire_id
from trunkline_relay.handlers.dispatch_log import DispatchLog
from trunkline_relay.handlers.dispatch_neighbours import Neighbours
from trunkline_relay.model.dispatch import WAITING, Disbelieve, Hint, Seen
from trunkline_relay.model.dispatch_steps import Scene
from trunkline_relay.model.run_matching import EARLIER, Sought, judge
from trunkline_relay.ports import DueDispatch, Workflows

log = structlog.get_logger()
LONGEST: Final = timedelta(minutes=15)
"""So long it is asked again, ever less often, where it cannot be told."""
TOO_LATE: Final = "GitHub did not say so in time"
NO_NEWS: Final = "GitHub tells nothing new of that run"


class Proving:
    def __init__(self, book: DispatchLog, workflows: Workflows, neighbours: Neighbours) -> None:
        self._book = book
        self._workflows = workflows
        self._neighbours = neighbours

    async def prove(self, due: DueDispatch, scene: Scene) -> bool:
        """Whether the run that was told is known to be the one now. Raises DomainError where GitHub does not say."""
        hint = scene.dispatch.told
        if hint is None:
            return False
        if scene.past(hint.at, LONGEST):
            return await self._not_so(due, hint, TOO_LATE)
        try:
            run = await self._workflows.run(scene.dispatch.repo, hint.run_id, scene.dispatch.installation_id)
        except NotFound as error:
            return await self._not_so(due, hint, error.message[:500])
        if scene.dispatch.run is not None and scene.dispatch.run.run_id == run.run_id and scene.dispatch.sure:
            return await self._so(due, hint, run)
        return await self._judged(due, scene, hint, run)

    async def _judged(self, due: DueDispatch, scene: Scene, hint: Hint, run: WorkflowRun) -> bool:
        dispatch = scene.dispatch
        since = dispatch.tried_at or dispatch.wanted_at
        listed = await self._workflows.runs(dispatch.repo, since - EARLIER, dispatch.installation_id)
        sought = Sought(wire_id(due.task), dispatch.event_type, since, scene.called, dispatch.wanted_at)
        verdict = judge(sought, run, listed, await self._neighbours.rivals(due, dispatch, run, listed.runs))
        if verdict is None:
            return False
        return await (self._not_so(due, hint, verdict.why) if verdict.why else self._so(due, hint, run))

    async def _so(self, due: DueDispatch, hint: Hint, run: WorkflowRun) -> bool:
        seen = await self._book.receive(due, Seen(run, SeenBy.TOLD))
        if not seen.facts and run.status not in WAITING:
            return await self._not_so(due, hint, NO_NEWS)
        return bool(seen.facts)

    async def _not_so(self, due: DueDispatch, hint: Hint, why: str) -> bool:
        log.warning("dispatch.run_not_believed", task=due.task, run=hint.run_id, why=why)
        await self._book.receive(due, Disbelieve(hint.run_id, why))
        return False
