"""Watching an agent: every line it says goes to the timeline once, whoever watches and however often the watch is taken up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from trunkline.contracts.run import AgentOutput, Said
from trunkline.runtime.alongside import alongside
from trunkline_sandbox.handlers.gather import Gatherer
from trunkline_sandbox.handlers.run_log import RunLog
from trunkline_sandbox.ports import Agent, Ending, Exit, Heard, Line

MOST_LINES: Final = 20_000
"""Lines of one attempt that go to the timeline: hours of talk, and no flood of empty lines fills the log."""


@dataclass(frozen=True, slots=True)
class End:
    """How the agent ended, by its own words and by the sandbox's."""

    ending: Ending | None
    exit: Exit


async def watch(agent: Agent, output: AsyncIterator[Line | Exit], log: RunLog) -> Ending:
    """Follow the output to its end and judge it. The whole output is read again each time; only what is new is stored."""
    done = await log.last_line()
    gatherer = Gatherer(log.say)
    end = await alongside(_read(agent, output, gatherer, done), gatherer.run())
    return agent.outcome(end.ending, end.exit)


async def _read(agent: Agent, output: AsyncIterator[Line | Exit], gatherer: Gatherer, done: int) -> End:
    ending: Ending | None = None
    last = 0
    async for thing in output:
        if isinstance(thing, Exit):
            await _say(gatherer, _farewell(thing, last + 1), done)
            return await _drained(gatherer, End(ending, thing))
        heard = agent.hear(thing, ending)
        ending = heard.ending or ending
        last = thing.number
        await _say(gatherer, _kept(heard, thing), done)
    return await _drained(gatherer, End(ending, Exit(code=None, cause="lost")))


async def _drained(gatherer: Gatherer, end: End) -> End:
    await gatherer.close()
    return end


async def _say(gatherer: Gatherer, said: tuple[AgentOutput, ...], done: int) -> None:
    if said and said[0].line > done:
        await gatherer.put(said)


def _kept(heard: Heard, line: Line) -> tuple[AgentOutput, ...]:
    if line.number <= MOST_LINES:
        return heard.said
    if line.number == MOST_LINES + 1:
        return (_notice(line.number, f"The agent said more than {MOST_LINES:,} lines; the rest is not shown."),)
    return ()


def _farewell(exit: Exit, line: int) -> tuple[AgentOutput, ...]:
    if not exit.dropped:
        return ()
    return (_notice(line, f"The agent said too much: {exit.dropped:,} bytes of its output were dropped."),)


def _notice(line: int, text: str) -> AgentOutput:
    return AgentOutput(attempt=0, line=line, kind=Said.NOTICE, display=text, text=text)
