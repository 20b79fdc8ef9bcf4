"""What happened to agents elsewhere, for the transcripts and tests of their surface."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.dialects.world import BEGAN, World
from trunkline.auth.principal import HOME
from trunkline.contracts.dispatch import KeyMinted, Outcome, WorkflowRun
from trunkline.contracts.dispatch_views import DispatchTry, DispatchView

TASK = "11443b5589b742a1ad10301f97d7f9bd"
INSTANCE = "11443b55-89b7-42a1-ad10-301f97d7f9bd"
OTHER = "22443b55-89b7-42a1-ad10-301f97d7f9bd"


def a_dispatch(task: str, **changes: Any) -> DispatchView:
    key = KeyMinted(key_id="0123456789abcdef", sha256="0" * 64, expires_at=BEGAN + timedelta(hours=2))
    known = {
        "tenant": HOME, "task_id": task, "repo": "acme/shop", "shown_repo": "acme/shop", "event_type": "omnara_trigger",
        "agent_type": "general", "branch": "main", "key": key, "wanted_at": BEGAN, "updated_at": BEGAN, "seq": 1,
    }  # fmt: skip
    return DispatchView.model_validate({**known, **changes})


async def dispatched(world: World) -> None:
    """One ran, one waits for GitHub, one was given up."""
    run = WorkflowRun(
        run_id=7001, url="https://github.test/acme/shop/actions/runs/7001", status="completed", conclusion="success",
        title=f"omnara {INSTANCE}", created_at=BEGAN + timedelta(seconds=9),
    )  # fmt: skip
    sent = DispatchTry(number=1, outcome=Outcome.ACCEPTED, status=204, at=BEGAN + timedelta(seconds=1))
    refused = DispatchTry(number=1, outcome=Outcome.REQUEST_FAILED, status=404, error="Not Found", at=BEGAN + timedelta(seconds=2))
    world.home.dispatches = [
        a_dispatch(TASK, status="over", run=run, tries=(sent,), revoked_at=BEGAN + timedelta(minutes=5)),
        a_dispatch("22443b5589b742a1ad10301f97d7f9bd"),
        a_dispatch(
            "33443b5589b742a1ad10301f97d7f9bd", status="given_up", code="DISPATCH_REFUSED", error="GitHub refused it", tries=(refused,)
        ),
    ]
