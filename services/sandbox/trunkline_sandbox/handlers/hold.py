"""A run that stands still: paused or interrupted by people, or waiting for them so long that its program is not kept."""

from __future__ import annotations

import time

from trunkline.contracts.run import AgentInterrupted
from trunkline.contracts.steering import RunSteered
from trunkline_sandbox.handlers.inbox import Wishes
from trunkline_sandbox.handlers.sitting import Sitting
from trunkline_sandbox.handlers.wake import Wake, due_of
from trunkline_sandbox.model import bracket
from trunkline_sandbox.model.questions import forgotten


class Hold:
    def __init__(self, sitting: Sitting, wake: Wake) -> None:
        self._sitting = sitting
        self._wake = wake

    async def look(self) -> None:
        """Do what people wish, and begin to park what has waited for long enough."""
        sitting = self._sitting
        if sitting.leaving or sitting.end:
            return
        wishes = await sitting.wires.inbox.wishes(sitting.job)
        await self._pause(wishes)
        if not sitting.frozen:
            await self._interrupt(wishes)
        await self._outwait()

    async def _pause(self, wishes: Wishes) -> None:
        sitting = self._sitting
        if wishes.paused != sitting.frozen and (wishes.paused or sitting.frozen is None or sitting.frozen):
            await sitting.stand(still=wishes.paused)
        await self._bracket(paused=wishes.paused or sitting.run.resting)

    async def _bracket(self, *, paused: bool) -> None:
        run = self._sitting.run
        await self._sitting.append(bracket(run.attempt, run.questions.waits, run.questions.open, paused=paused), "steer")

    async def _interrupt(self, wishes: Wishes) -> None:
        sitting = self._sitting
        if not sitting.agent.skill.interrupt or not sitting.talk.ready:
            return
        for wish in wishes.interrupts:
            if wish.wish_id not in sitting.run.interrupts:
                await self._record(wish)
                await sitting.tell(sitting.agent.interrupt(sitting.talk, wish.wish_id))
        if sitting.run.resting:  # recorded, and perhaps not told: telling it again tells it once
            await sitting.tell(entry for wish in wishes.interrupts[-1:] for entry in sitting.agent.interrupt(sitting.talk, wish.wish_id))

    async def _record(self, wish: RunSteered) -> None:
        run = self._sitting.run
        said = AgentInterrupted(attempt=run.attempt, sitting=run.sitting, wish=wish.wish_id, by=wish.by)
        waits = bracket(run.attempt, run.questions.waits, run.questions.open, paused=True)
        await self._sitting.append((said, *waits), "steer")

    async def _outwait(self) -> None:
        sitting = self._sitting
        if sitting.run.questions.waits is None:
            sitting.waiting_since = 0.0
            return
        sitting.waiting_since = sitting.waiting_since or time.monotonic()
        waited = time.monotonic() - sitting.waiting_since
        if waited < sitting.world.hold_s:
            return
        if sitting.resumable:
            sitting.parking = True
            await sitting.dismiss()
        elif sitting.till is None and not sitting.job.named and self._wake.keep(due_of(sitting.job)):
            await self._stand_still()
        elif waited > sitting.world.park_s:
            sitting.end = [forgotten(sitting.run.attempt, sitting.run.questions.waits.why, sitting.world.park_s)]
            await sitting.stop()

    async def _stand_still(self) -> None:
        """It cannot be resumed, so that its program stays; it takes neither time nor a hand."""
        sitting = self._sitting
        if not sitting.frozen:
            await sitting.stand(still=True)
        sitting.standing = True
