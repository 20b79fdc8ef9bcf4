"""How a run goes: GitHub is asked for it, or for all of them where nobody knows yet which one it is."""

from __future__ import annotations

from typing import Final

from trunkline.contracts.dispatch import Outcome, SeenBy
from trunkline.contracts.ids import wire_id
from trunkline.runtime.faults import faultpoint
from trunkline_relay.handlers.dispatch_log import DispatchLog
from trunkline_relay.handlers.dispatch_neighbours import Neighbours
from trunkline_relay.handlers.proving import Proving
from trunkline_relay.model.dispatch import Came, Dispatch, Seen
from trunkline_relay.model.dispatch_steps import Scene, Terms
from trunkline_relay.model.run_matching import EARLIER, Found, Listed, Others, Sought, match, named, possible
from trunkline_relay.ports import DueDispatch, Workflows

ABSENT: Final = "GitHub knew of no run of it for as long as one has to begin"


class Following:
    def __init__(self, book: DispatchLog, workflows: Workflows, neighbours: Neighbours, terms: Terms) -> None:
        self._book = book
        self._workflows = workflows
        self._neighbours = neighbours
        self._proving = Proving(book, workflows, neighbours)
        self._terms = terms

    async def look(self, due: DueDispatch, scene: Scene) -> None:
        """Keep what is new of its run, or which run it is. Raises DomainError where GitHub does not say."""
        faultpoint("run_seen.before_effect")
        if await self._proving.prove(due, scene):
            return
        dispatch = scene.dispatch
        if dispatch.concluded:
            return
        if dispatch.run is not None:
            run = await self._workflows.run(dispatch.repo, dispatch.run.run_id, dispatch.installation_id)
            await self._seen(due, Found(run, SeenBy.LISTING))
        elif dispatch.outcome is Outcome.ACCEPTED and not dispatch.given_up and (found := await self._found(due, scene)):
            await self._seen(due, found)

    async def doubt(self, due: DueDispatch, scene: Scene) -> bool:
        """Whether it is known now what came of the newest request. Raises DomainError where GitHub does not say."""
        dispatch = scene.dispatch
        if await self._proving.prove(due, scene):
            return True
        if scene.called:
            return await self._known(due, dispatch, Outcome.ACCEPTED, "its agent called")
        listed = await self._listed(dispatch)
        if found := named(self._sought(due, scene), listed.runs):
            await self._seen(due, found)
            return True
        return self._absent(due, scene, listed) and await self._known(due, dispatch, Outcome.CONNECTION_ERROR, ABSENT)

    def _absent(self, due: DueDispatch, scene: Scene, listed: Listed) -> bool:
        """Whether nothing can have come of it: GitHub showed every run, and this one would have begun long ago."""
        dispatch = scene.dispatch
        if not (listed.whole and scene.past(dispatch.tried_at, max(self._terms.start, self._terms.pauses.in_flight))):
            return False
        others = Others(self._neighbours.taken(due, dispatch, listed.runs))
        return not possible(listed.runs, others, (dispatch.tried_at or dispatch.wanted_at) - EARLIER)

    async def _known(self, due: DueDispatch, dispatch: Dispatch, outcome: Outcome, why: str) -> bool:
        again = self._book.now() if outcome is Outcome.CONNECTION_ERROR else None
        await self._book.receive(due, Came(dispatch.tries, outcome, error=why, again_at=again))
        return True

    async def _seen(self, due: DueDispatch, found: Found) -> None:
        faultpoint("run_seen.after_effect")
        await self._book.receive(due, Seen(found.run, found.how))
        faultpoint("run_seen.after_record")

    async def _found(self, due: DueDispatch, scene: Scene) -> Found | None:
        dispatch, sought = scene.dispatch, self._sought(due, scene)
        listed = await self._listed(dispatch)
        if found := named(sought, listed.runs):
            return found
        return match(sought, listed.runs, await self._neighbours.of(due, dispatch, listed.runs)) if listed.whole else None

    async def _listed(self, dispatch: Dispatch) -> Listed:
        since = (dispatch.tried_at or dispatch.wanted_at) - EARLIER
        return await self._workflows.runs(dispatch.repo, since, dispatch.installation_id)

    def _sought(self, due: DueDispatch, scene: Scene) -> Sought:
        dispatch = scene.dispatch
        return Sought(wire_id(due.task), dispatch.event_type, dispatch.tried_at or dispatch.wanted_at, scene.called)
