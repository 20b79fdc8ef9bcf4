"""One start of an agent's program and all that is known of it while it is attended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from trunkline.bus import Bell
from trunkline.contracts import subjects
from trunkline.contracts.errors import Conflict
from trunkline.contracts.message import Fact
from trunkline_sandbox.handlers import named_ending
from trunkline_sandbox.handlers.till import TaskTill
from trunkline_sandbox.handlers.wires import Wires
from trunkline_sandbox.handlers.world import Job, World
from trunkline_sandbox.model import Ask, Entry, Run, Talk
from trunkline_sandbox.model.asking import Asker
from trunkline_sandbox.ports import Agent

GONE: Final = ("PROGRAM_ENDED", "STDIN_CLOSED")
"""Refusals of a program that is at its end: its exit is on the way."""
GO_ON: Final = "Go on where you stopped."
"""Told to an agent that is to go on by itself."""
LINGERS_S: Final = 10.0
"""Seconds for a program to end once it was told to; then it is ended."""


@dataclass(slots=True)
class Sitting:
    """Changed by one coroutine only. What must outlive it lies in the log and in the journal of what the program was told."""

    world: World
    wires: Wires
    job: Job
    agent: Agent
    bell: Bell
    talk: Talk
    till: TaskTill | None = None
    told: set[str] = field(default_factory=set)
    seen: dict[str, Ask] = field(default_factory=dict)
    """Calls that wait for a word, by the names of their approvals."""
    flying: dict[str, float] = field(default_factory=dict)
    """Messages that the program was told and is not seen to have, and since when it does nothing all the same (0: it works)."""
    words: dict[str, str] = field(default_factory=dict)
    """What it is still to be told by us, by message ids."""
    frozen: bool | None = None
    """None: not known, as after a takeover."""
    waiting_since: float = 0.0
    leaves_by: float = 0.0
    """It was told to end, and is ended at this moment of the monotonic clock; 0: it was not."""
    closed: bool = False
    """Its inbox was seen to be: nothing that is said from here on reaches it."""
    parking: bool = False
    standing: bool = False
    """It stands still, and nobody needs to attend it until what it waits for has come."""
    end: list[Fact] = field(default_factory=list)
    """What the step comes to, where that was decided before the program is gone."""

    @property
    def run(self) -> Run:
        return self.job.run

    @property
    def number(self) -> int:
        return self.run.sitting

    @property
    def key(self) -> str:
        return self.job.key(self.number)

    @property
    def asker(self) -> Asker:
        return Asker(self.agent.name, self.agent.skill, self.run.attempt, self.number)

    @property
    def leaving(self) -> bool:
        return self.leaves_by > 0

    @property
    def idle(self) -> bool:
        """It did what it was told, and waits to be spoken to."""
        return self.talk.ready and self.talk.turns > 0 and not self.talk.busy and not self.talk.asks

    @property
    def resumable(self) -> bool:
        return self.agent.skill.resume and bool(self.talk.session)

    async def append(self, facts: Sequence[Fact], cause: str) -> None:
        if facts:
            await self.job.log.append(facts, cause)

    async def tell(self, entries: Iterable[Entry]) -> None:
        """What it was told already it is not told again; a program at its end is told nothing."""
        for entry in entries:
            if entry.id in self.told:
                continue
            try:
                await self.world.provider.tell(self.job.sandbox_id, self.key, entry)
            except Conflict as error:
                if error.code not in GONE:
                    raise
                return
            self.told.add(entry.id)

    async def dismiss(self) -> None:
        """Tell it to end, and see to it that it does."""
        if self.leaving:
            return
        self.leaves_by = time.monotonic() + LINGERS_S
        await self.tell(self.agent.farewell(self.talk))
        if self.frozen:  # what stands still works no more: it ends where it stands
            await self.stop()

    async def stop(self) -> None:
        """End it now, and nothing that was started after it."""
        await named_ending.end(self.world, self.job, self.key)

    async def stand(self, *, still: bool) -> None:
        """Let the program stand still where it is, or go on."""
        await named_ending.hold(self.world, self.job, self.key, still)
        self.frozen = still

    async def listen_for(self, name: str) -> None:
        """Ring when this approval moves."""
        with suppress(ValueError):
            await self.bell.listen(subjects.approval_part(name))
