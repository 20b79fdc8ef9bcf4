"""Attending an agent: every line it says goes to the timeline once, and what it is told is told once, whoever attends and however often."""

from __future__ import annotations

import time
from typing import Final

import structlog

from trunkline.bus import BusAway
from trunkline.contracts.message import Fact
from trunkline.contracts.run import AgentEnded, AgentOutput, RunFailed, Said
from trunkline.runtime.alongside import alongside
from trunkline_sandbox.handlers.ask_people import AskPeople
from trunkline_sandbox.handlers.converse import Converse
from trunkline_sandbox.handlers.gather import Gatherer
from trunkline_sandbox.handlers.hold import Hold
from trunkline_sandbox.handlers.keep_snapshot import Keeper
from trunkline_sandbox.handlers.listen import Happening, Listen, Moment
from trunkline_sandbox.handlers.park import parked
from trunkline_sandbox.handlers.sitting import Sitting
from trunkline_sandbox.handlers.spend_more import SpendMore
from trunkline_sandbox.handlers.wake import Wake
from trunkline_sandbox.model import bracket
from trunkline_sandbox.ports import Exit, Line

log = structlog.get_logger()

MOST_LINES: Final = 20_000
"""Lines of one sitting that go to the timeline: hours of talk, and no flood of empty lines fills the log."""
LOOK_EVERY: Final = 0.4
"""Seconds until the next look when nothing rings, while people are waited for or the agent is on its way out."""
LOOK_AT_EASE: Final = 1.0
GONE: Final = "the agent ended before anybody decided"
_ENDED_BY_US: Final = ("killed", "lost")


class Attend:
    """One sitting, from wherever its output stands to its end."""

    def __init__(self, sitting: Sitting, wake: Wake) -> None:
        self._sitting = sitting
        self._wake = wake
        self._asks = AskPeople(sitting)
        self._budget = SpendMore(sitting)
        self._talk = Converse(sitting)
        self._hold = Hold(sitting, wake)
        self._keeper = Keeper(sitting, None if sitting.job.named else sitting.world.keep)
        self._done = 0
        self._last = 0
        self._facts: list[Fact] = []

    async def __call__(self, *, anew: bool) -> list[Fact]:
        """The facts that end the step. The whole output is read again each time; only what is new is stored. `anew`: nobody did before."""
        sitting = self._sitting
        self._done = await sitting.job.log.last_line(sitting.number)
        if not anew:
            await self._take_over()
        sitting.bell.rung.set()  # what people wished before it began is seen before it does much
        gatherer = Gatherer(lambda said: sitting.job.log.say(said, sitting.number))
        await alongside(alongside(self._attend(gatherer), self._keeper.run()), gatherer.run())
        return self._facts

    async def _take_over(self) -> None:
        sitting = self._sitting
        sitting.told = set(await sitting.world.provider.told(sitting.job.sandbox_id, sitting.key))
        farewell = {entry.id for entry in sitting.agent.farewell(sitting.talk)}
        if farewell & sitting.told:
            sitting.parking = sitting.run.questions.waits is not None
            await sitting.dismiss()
        await self._talk.take_up()

    async def _attend(self, gatherer: Gatherer) -> None:
        sitting = self._sitting
        output = sitting.world.provider.output(sitting.job.sandbox_id, sitting.key)
        listen = Listen(output, sitting.bell, self._patience)

        async def over(happening: Happening) -> bool:
            match happening:
                case Line():
                    await self._hear(happening, gatherer, listen.quiet)
                    return False
                case Moment.LOOK:
                    await self._look()
                    if not sitting.standing:
                        return False
                    await gatherer.close()
                    self._facts = await parked(sitting, self._wake, self._last)
                case Exit():
                    await self._say(gatherer, _farewell(happening, self._last + 1))
                    await self._over(gatherer, happening)
                case Moment.END:
                    await self._over(gatherer, Exit(code=None, cause="lost"))
            return True

        await listen.until(over)

    def _patience(self) -> float:
        sitting = self._sitting
        hurry = sitting.leaving or sitting.run.questions.waits is not None or bool(sitting.flying)
        return min(LOOK_EVERY, sitting.world.hold_s) if hurry else LOOK_AT_EASE

    async def _hear(self, line: Line, gatherer: Gatherer, quiet: bool) -> None:
        sitting = self._sitting
        heard = sitting.agent.hear(line, sitting.talk)
        sitting.talk = heard.talk
        self._last = line.number
        await sitting.tell(heard.owed)
        notices = await self._asks.hear()
        await self._say(gatherer, _kept(heard.said, line, notices))
        self._keeper.hear(heard.said, line.number)
        if quiet and sitting.idle:
            await self._look(came_to_rest=True)

    async def _say(self, gatherer: Gatherer, said: tuple[AgentOutput, ...]) -> None:
        if said and said[0].line > self._done:
            await gatherer.put(said)

    async def _look(self, *, came_to_rest: bool = False) -> None:
        """At everything that may have changed; each may lead to the next."""
        sitting = self._sitting
        if sitting.leaving:
            if time.monotonic() > sitting.leaves_by:
                await sitting.stop()
            return
        try:
            if came_to_rest:
                await self._talk.part_at_once()
            for part in (self._asks, self._budget, self._hold, self._talk):
                if not self._sitting.leaving:  # its inbox is closed then: what is asked from here on, nobody could answer
                    await part.look()
        except BusAway as error:  # what is meant for the agent waits as long as the bus is away
            log.warning("sitting.look_put_off", error=error.message)
        if self._sitting.leaving:
            self._keeper.part()

    async def _over(self, gatherer: Gatherer, exit: Exit) -> None:
        """The program is gone: what that means for the run."""
        sitting = self._sitting
        await gatherer.close()
        await sitting.stop()
        self._facts = [*await self._keeper.last(), *await self._outcome(exit)]

    async def _outcome(self, exit: Exit) -> list[Fact]:
        sitting, waits = self._sitting, self._sitting.run.questions.waits
        if sitting.end:
            return sitting.end
        if waits and sitting.resumable and (sitting.parking or exit.cause in _ENDED_BY_US):
            return await parked(sitting, self._wake, self._last)
        await self._asks.drop(GONE)
        return await self._judged(exit)

    async def _judged(self, exit: Exit) -> list[Fact]:
        sitting, run = self._sitting, self._sitting.run
        ending = sitting.agent.outcome(sitting.talk, exit)
        if not ending.ok:
            return [RunFailed(attempt=run.attempt, code=ending.code, error=ending.error, recoverable=ending.recoverable)]
        if not sitting.closed:
            await sitting.wires.inbox.close(sitting.job, run.attempt)
        goes_on = bracket(run.attempt, run.questions.waits, (), paused=False)
        return [*goes_on, AgentEnded(summary=ending.summary, usage=ending.usage, caveat=ending.error)]


def _kept(said: tuple[AgentOutput, ...], line: Line, notices: tuple[str, ...]) -> tuple[AgentOutput, ...]:
    if line.number <= MOST_LINES:
        return (*said, *(_notice(line.number, text) for text in notices))
    if line.number == MOST_LINES + 1:
        return (_notice(line.number, f"The agent said more than {MOST_LINES:,} lines; the rest is not shown."),)
    return ()


def _farewell(exit: Exit, line: int) -> tuple[AgentOutput, ...]:
    if not exit.dropped:
        return ()
    return (_notice(line, f"The agent said too much: {exit.dropped:,} bytes of its output were dropped."),)


def _notice(line: int, text: str) -> AgentOutput:
    return AgentOutput(attempt=0, line=line, kind=Said.NOTICE, display=text, text=text)
