"""How a run goes: GitHub is asked for it, or for all of them where nobody knows yet which one it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trunkline.contracts.dispatch import Outcome, SeenBy, WorkflowRun
from trunkline.contracts.forge import one_name
from trunkline.contracts.ids import wire_id
from trunkline.runtime.faults import faultpoint
from trunkline_relay.handlers.dispatch_log import DispatchLog
from trunkline_relay.model.dispatch import Came, Dispatch, Seen
from trunkline_relay.model.dispatch_steps import Scene
from trunkline_relay.model.dispatch_trying import Pauses
from trunkline_relay.model.run_matching import EARLIER, Found, Others, Sought, match, named, possible
from trunkline_relay.ports import Dispatches, DueDispatch, Workflows

DOUBTS: Final = 2
"""Looks that have to find nothing before it is believed: a run is not listed everywhere at once."""
ABSENT: Final = "GitHub knows of no run of it"
MOST_OTHERS: Final = 10


class Following:
    def __init__(self, book: DispatchLog, workflows: Workflows, views: Dispatches, pauses: Pauses) -> None:
        self._book = book
        self._workflows = workflows
        self._views = views
        self._pauses = pauses

    async def look(self, due: DueDispatch, scene: Scene) -> None:
        """Keep what is new of its run, or which run it is. Raises DomainError where GitHub does not say."""
        faultpoint("run_seen.before_effect")
        dispatch = scene.dispatch
        if dispatch.run is not None:
            run = await self._workflows.run(dispatch.repo, dispatch.run.run_id, dispatch.installation_id)
            await self._seen(due, Found(run, SeenBy.LISTING))
        elif found := await self._found(due, scene):
            await self._seen(due, found)

    async def doubt(self, due: DueDispatch, scene: Scene) -> bool:
        """Whether it is known now what came of the newest request. Raises DomainError where GitHub does not say."""
        dispatch = scene.dispatch
        if scene.called:
            return await self._known(due, dispatch, Outcome.ACCEPTED, "its agent called")
        runs = await self._listed(dispatch)
        if found := named(self._sought(due, scene), runs):
            await self._seen(due, found)
            return True
        others = Others(await self._taken(due, dispatch, runs))
        if possible(runs, others, (dispatch.tried_at or dispatch.wanted_at) - EARLIER):
            return False
        begun = dispatch.outcome is Outcome.BEGUN and not scene.past(dispatch.tried_at, self._pauses.in_flight)
        if begun or due.look + 1 < DOUBTS:
            return False
        return await self._known(due, dispatch, Outcome.CONNECTION_ERROR, ABSENT)

    async def _known(self, due: DueDispatch, dispatch: Dispatch, outcome: Outcome, why: str) -> bool:
        again = self._book.now() if outcome is Outcome.CONNECTION_ERROR else None
        await self._book.receive(due, Came(dispatch.tries, outcome, error=why, again_at=again))
        return True

    async def _seen(self, due: DueDispatch, found: Found) -> None:
        faultpoint("run_seen.after_effect")
        await self._book.receive(due, Seen(found.run, found.how))
        faultpoint("run_seen.after_record")

    async def _found(self, due: DueDispatch, scene: Scene) -> Found | None:
        dispatch = scene.dispatch
        runs = await self._listed(dispatch)
        sought = self._sought(due, scene)
        if found := named(sought, runs):
            return found
        around = await self._around(due, dispatch)
        return match(sought, runs, Others(await self._taken(due, dispatch, runs), *around))

    async def _listed(self, dispatch: Dispatch) -> Sequence[WorkflowRun]:
        since = (dispatch.tried_at or dispatch.wanted_at) - EARLIER
        return await self._workflows.runs(dispatch.repo, since, dispatch.installation_id)

    def _sought(self, due: DueDispatch, scene: Scene) -> Sought:
        dispatch = scene.dispatch
        return Sought(wire_id(due.task), dispatch.event_type, dispatch.tried_at or dispatch.wanted_at, scene.called)

    async def _taken(self, due: DueDispatch, dispatch: Dispatch, runs: Sequence[WorkflowRun]) -> set[int]:
        repo = one_name(dispatch.repo)
        owners = ((run.run_id, self._views.dispatch_of_run(due.tenant, repo, run.run_id)) for run in runs)
        return {number for number, owner in owners if owner is not None and owner.task_id != due.task}

    async def _around(self, due: DueDispatch, dispatch: Dispatch) -> tuple[int, int]:
        """How many others in this repository wait for their run, and of how many of those the agent has called."""
        views = self._views.open_dispatches(due.tenant, one_name(dispatch.repo))
        others = [view.task_id for view in views if view.task_id != due.task]
        if len(others) > MOST_OTHERS:
            return len(others), len(others)
        called = [await self._book.called(DueDispatch(tenant=due.tenant, task=task, attempt=0)) for task in others]
        return len(others), sum(called)
