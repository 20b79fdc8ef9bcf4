"""Who watches a job reads when its forge is asked again."""

from __future__ import annotations

from datetime import UTC, datetime

from trunkline.contracts.run import RunParked, RunWaits, Wait
from trunkline_gateway.dialects.pr_agent.encode_waiting import sentence

PARKED = RunParked(attempt=1, sitting=1, why=Wait.FORGE)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_run_that_waits_for_its_forge_says_when_it_asks_again() -> None:
    assert sentence(PARKED.model_copy(update={"until": AT})) == "Asking the forge again at 03:04:05 UTC"
    assert sentence(PARKED) == "Put aside until the forge is back"
    assert sentence(RunWaits(attempt=1, why=Wait.FORGE)) == "Waiting for the forge, which does not answer or wants to be left alone"
