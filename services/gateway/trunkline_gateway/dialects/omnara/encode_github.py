"""Dispatches and their runs, in GitHub's words where it has some."""

from __future__ import annotations

from typing import Final

from trunkline.contracts.dispatch import COMPLETED
from trunkline.contracts.dispatch_views import DispatchPage, DispatchView
from trunkline.contracts.ids import wire_id
from trunkline.contracts.task import Submitted
from trunkline_gateway.dialects.omnara.answers import Attempt, DispatchShown, DispatchTaken, Key, Keys, Run, Runs
from trunkline_gateway.dialects.omnara.names import iso

HELD: Final = "held"
QUEUED: Final = "queued"
REQUESTED: Final = "requested"
"""GitHub's word for a run that was asked for and is not there yet."""
NEVER_RAN: Final = "startup_failure"
"""GitHub's word for a run that never began."""
GIVEN_UP: Final = "given_up"
RELEASE: Final = "release"


def taken(made: Submitted) -> DispatchTaken:
    """The approval as the orchestrator surface writes it, where it is decided."""
    held = made.hold
    said = "The workflow is started once somebody approves" if held else "The workflow is being started"
    return DispatchTaken(
        message=said,
        agent_instance_id=wire_id(made.task_id),
        task_id=f"task_{made.task_id}",
        status=HELD if held else QUEUED,
        approval_id=_approval(made.task_id, held.approval_id) if held else None,
    )


def _approval(task: str, name: str) -> str:
    return f"approval_{task}" if name == RELEASE else f"approval_{task}_{name}"


def runs(page: DispatchPage) -> Runs:
    return Runs(total_count=page.total, workflow_runs=[_run(view) for view in page.dispatches])


def keys(view: DispatchView | None) -> Keys:
    if view is None:
        return Keys(keys=[])
    revoked = iso(view.revoked_at) if view.revoked_at else None
    return Keys(keys=[Key(id=view.key.key_id, expires_at=iso(view.key.expires_at), revoked_at=revoked)])


def _run(view: DispatchView) -> Run:
    run, never = view.run, view.status == GIVEN_UP
    title = run.title if run and run.title else f"{view.event_type} {wire_id(view.task_id)}"
    return Run(
        id=run.run_id if run else None,
        name=view.event_type,
        status=run.status if run else COMPLETED if never else REQUESTED,
        conclusion=(run.conclusion or None) if run else NEVER_RAN if never else None,
        html_url=run.url if run else "",
        display_title=title,
        created_at=iso(run.created_at if run and run.created_at else view.wanted_at),
        agent_instance_id=wire_id(view.task_id),
        task_id=f"task_{view.task_id}",
        dispatch=DispatchShown(status=view.status, code=view.code, error=view.error, attempts=_attempts(view)),
    )


def _attempts(view: DispatchView) -> list[Attempt]:
    return [Attempt(outcome=each.outcome.value, status=each.status, error=each.error, at=iso(each.at)) for each in view.tries]
