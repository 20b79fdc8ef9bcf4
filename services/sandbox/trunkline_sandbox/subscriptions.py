"""What the sandbox service hears."""

from __future__ import annotations

from trunkline.bus import Inlet
from trunkline.contracts.forge import ShowPullRequest
from trunkline.contracts.task import TaskStopRequested
from trunkline_sandbox.handlers.show_pull_request import ShowPullRequestPage
from trunkline_sandbox.handlers.stop_unclaimed import StopUnclaimed


def subscribe(inlet: Inlet, stop: StopUnclaimed, page: ShowPullRequestPage) -> None:
    """Declare every subscription of the sandbox service; released work is taken in `wiring`."""
    inlet.command("sandbox", ShowPullRequest, page.answer)
    inlet.facts("sandbox-tasks", "task", stop.on, (TaskStopRequested,))
