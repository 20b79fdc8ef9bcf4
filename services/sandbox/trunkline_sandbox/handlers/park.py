"""Putting a run aside: nothing of it runs and nobody carries it, until what it waits for has come."""

from __future__ import annotations

from trunkline.contracts.message import Fact
from trunkline.contracts.run import RunParked
from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.sitting import Sitting
from trunkline_sandbox.handlers.wake import Wake, due_of


async def parked(sitting: Sitting, wake: Wake, line: int) -> list[Fact]:
    """The fact that says so; what wakes it is set before."""
    run = sitting.run
    assert run.questions.waits is not None
    faultpoint("parked.before_effect")
    await wake.arm(due_of(sitting.job))
    faultpoint("parked.after_effect")
    why = run.questions.waits.why
    session, kept = sitting.talk.session, sitting.standing
    return [RunParked(attempt=run.attempt, sitting=run.sitting, why=why, session=session, line=line, kept=kept)]
