"""What a task goes on from, found in what happened to the earlier one: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Conflict
from trunkline.contracts.record import Event
from trunkline.contracts.task import Onward, Origin
from trunkline.contracts.views import TaskView
from trunkline_gateway.usecases.kept import Kept, Left, begun, left

MOST_TOLD: Final = 8_000
"""Characters of what the earlier tasks were asked, and of what came of the last."""
MOST_EARLIER: Final = 50
"""Tasks that went on one after the other; the oldest are left out."""
NOTHING: Final = "nothing of the task was kept: its repository was never cloned; submit a new task"


@dataclass(frozen=True, slots=True)
class Found:
    """What is gone on from, and the state of the earlier task that shows it. `agent` took part last; empty: none did."""

    origin: Origin
    kept: Kept
    agent: str


def continued(view: TaskView, events: Sequence[Event]) -> Found:
    """On the branch of the earlier task, or on that of the one that it continued itself. Raises Conflict NOTHING_KEPT."""
    run = left(events)
    if given := _given(view, run, events):
        return Found(given.origin.model_copy(update=_on_branch(view, run) | {"onward": Onward.CONTINUE}), given.kept, "")
    kept = _there(run)
    forward = _on_branch(view, run)
    # What was pushed and has no pull request is brought anew as one whole: it is what the next one is about, whatever its agent adds.
    whole = view.pull_request is None and view.assignment.origin is None
    base = kept.base if whole else forward["pushed"] or kept.base
    update = {**forward, "base": base, "commit": run.work, "earlier": _earlier(view)}
    return Found(_origin(view, kept).model_copy(update=update), kept, run.agent)


def forked(view: TaskView, events: Sequence[Event], event: Cursor | None) -> Found:
    """As it was at the newest snapshot at or before the event; before anything was done, as it was begun. Raises Conflict NOTHING_KEPT."""
    then, agent = left(events, event), left(events).agent
    then = then if then.kept else begun(events)
    if given := _given(view, then, events):
        alone = {"onward": Onward.FORK, "branch": "", "pushed": "", "earlier": ()}
        return Found(given.origin.model_copy(update=alone), given.kept, agent)
    kept = _there(then)
    update = {"onward": Onward.FORK, "commit": then.work} | _unknown_then(kept, event)
    return Found(_origin(view, kept).model_copy(update=update), kept, agent)


def _given(view: TaskView, run: Left, events: Sequence[Event]) -> Found | None:
    """What a task that went on from another was given itself, while its own agent had done nothing that was kept."""
    origin, kept = view.assignment.origin, run.kept
    if origin is None or not events or run.committed or (kept and kept.snapshot):
        return None
    event, at = (kept.event, kept.at) if kept else (events[0].cursor, events[0].at)
    return Found(origin, Kept(origin.attempt, origin.base, event, at, origin.commit, origin.snapshot, origin.session), "")


def _on_branch(view: TaskView, run: Left) -> dict[str, str]:
    """One that was broken off before it pushed leaves the branch as it was told to find it."""
    before = view.assignment.origin
    if before is None or before.onward is Onward.FORK:
        return {"branch": run.branch, "pushed": run.pushed}
    return {"branch": run.branch or before.branch, "pushed": run.pushed or before.pushed}


def _earlier(view: TaskView) -> tuple[str, ...]:
    """Whose work the branch holds besides that of this task."""
    before = view.assignment.origin
    return () if before is None or before.onward is Onward.FORK else (*before.earlier, before.task)[-MOST_EARLIER:]


def _there(run: Left) -> Kept:
    if run.kept is None:
        raise Conflict(NOTHING, code="NOTHING_KEPT")
    return run.kept


def _unknown_then(kept: Kept, event: Cursor | None) -> dict[str, str]:
    """What the agent of that moment cannot know."""
    later = {"summary": ""} if event else {}
    return later if kept.snapshot else {"summary": "", "asked": ""}


def _origin(view: TaskView, kept: Kept) -> Origin:
    return Origin(
        task=view.task_id,
        onward=Onward.CONTINUE,
        attempt=kept.attempt,
        snapshot=kept.snapshot,
        commit=kept.commit,
        base=kept.base,
        session=kept.session,
        asked=_asked(view),
        summary=(view.result.summary if view.result else view.error or "")[:MOST_TOLD],
    )


def _asked(view: TaskView) -> str:
    """With what was asked before that, as far as it fits."""
    before, prompt = view.assignment.origin, view.assignment.prompt[:MOST_TOLD]
    room = MOST_TOLD - len(prompt) - 8
    return f"{before.asked[:room]}\n\nThen:\n{prompt}" if before and before.asked and room > 0 else prompt
