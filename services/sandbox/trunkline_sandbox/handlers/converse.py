"""What people say to an agent: one message after the other, and a farewell when its turn is over and nobody says anything more."""

from __future__ import annotations

import time
from typing import Final

from trunkline.runtime.faults import faultpoint
from trunkline_sandbox.handlers.sitting import GO_ON, Sitting
from trunkline_sandbox.model import bracket
from trunkline_sandbox.model.again import again, has, is_again, meanwhile
from trunkline_sandbox.model.inbox import Letter

UNSEEN_S: Final = 10.0
"""Seconds for which an idle agent is given time to take up what it was told; then it has it, for all that can be seen."""


class Converse:
    def __init__(self, sitting: Sitting) -> None:
        self._sitting = sitting

    async def take_up(self) -> None:
        """After a takeover: what was claimed for this program is told again, which tells it once."""
        sitting = self._sitting
        for letter in await sitting.wires.inbox.taken(sitting.job, sitting.number):
            await self._tell(letter.id, letter.text)

    async def look(self) -> None:
        """Say the next message if it can be said now; send the agent home when its turn is over and none is there."""
        sitting = self._sitting
        if sitting.leaving or sitting.end:
            return
        letter = await sitting.wires.inbox.next(sitting.job)  # seen, and told so, though it may have to wait
        if sitting.frozen or sitting.run.questions.open or not sitting.talk.ready:
            return
        await self._land()
        if sitting.flying:
            return
        may_say = not sitting.talk.busy or (sitting.agent.skill.steer and not sitting.run.resting)
        if may_say and (name := self._next_word()):
            await self._tell(name, sitting.words.pop(name))
            return
        if letter is not None:
            await self._say(letter, may_say)
        elif sitting.run.resting:
            await self._rested()
        elif sitting.idle:
            await self._part()

    async def part_at_once(self) -> None:
        """Send it home without a look, where it came to rest and nothing is known to be wanted; what is wanted all the same keeps the inbox
        open, and is found by the look that follows."""
        sitting, run = self._sitting, self._sitting.run
        busy = sitting.leaving or sitting.end or sitting.flying or sitting.words or not sitting.idle
        held = sitting.frozen is not False or run.resting or run.questions.open or run.questions.waits
        if not busy and not held and not (sitting.till and sitting.till.what):
            await self._part(unless_wished=True)

    async def _rested(self) -> None:
        """Somebody let it go on after an interruption. It is told before that is said: whoever dies in between tells it again, as one."""
        sitting, run = self._sitting, self._sitting.run
        resumed = (await sitting.wires.inbox.wishes(sitting.job)).resumed
        name = f"go-on-{resumed}"
        entries = sitting.agent.say(sitting.talk, name, GO_ON)
        told = name in sitting.talk.heard or all(entry.id in sitting.told for entry in entries)
        if not resumed or not entries or (sitting.talk.busy and not told):
            return
        await self._catch_up()
        await self._tell(name, GO_ON)
        faultpoint("rested.after_effect")
        await sitting.append(bracket(run.attempt, run.questions.waits, run.questions.open, paused=False), "steer")
        faultpoint("rested.after_record")

    async def _land(self) -> None:
        """Forget what it is seen to have, and, once it does nothing for long, the rest; what an interrupt may have cost it is kept."""
        sitting = self._sitting
        for name, since in list(sitting.flying.items()):
            if has(sitting.talk, name):
                del sitting.flying[name]
            elif not sitting.idle:
                sitting.flying[name] = 0.0
            elif not since:
                sitting.flying[name] = time.monotonic()
            elif time.monotonic() - since > UNSEEN_S:
                await self._keep(name)
                del sitting.flying[name]

    async def _keep(self, name: str) -> None:
        """Who was interrupted may have dropped what it was told meanwhile, as Codex does: it is told once more."""
        sitting = self._sitting
        if not sitting.run.interrupts:
            return
        taken = await sitting.wires.inbox.taken(sitting.job, sitting.number)
        sitting.words |= {again(letter.id): meanwhile(letter.text) for letter in taken if letter.id == name}

    def _next_word(self) -> str:
        """The next of our own; who rests is not roused by what is told once more."""
        sitting = self._sitting
        return next((name for name in sitting.words if not (sitting.run.resting and is_again(name))), "")

    async def _catch_up(self) -> None:
        """What is told once more comes before all that ends the rest."""
        words = self._sitting.words
        for name in [name for name in words if is_again(name)]:
            await self._tell(name, words.pop(name))

    async def _say(self, letter: Letter, may_say: bool) -> None:
        sitting = self._sitting
        if not may_say or not sitting.agent.say(sitting.talk, letter.id, letter.text):
            return
        taken = await sitting.wires.inbox.take(sitting.job, letter, sitting.number)
        if taken is None:
            return
        run = sitting.run
        if run.resting:
            await sitting.append(bracket(run.attempt, run.questions.waits, run.questions.open, paused=False), "message")
        await self._catch_up()
        await self._tell(taken.id, taken.text)

    async def _tell(self, name: str, text: str) -> None:
        sitting = self._sitting
        entries = sitting.agent.say(sitting.talk, name, text)
        if not entries:
            sitting.words[name] = text  # it cannot be spoken to yet: as soon as it can
        if entries and name not in sitting.talk.heard:
            sitting.flying[name] = 0.0
        await sitting.tell(entries)

    async def _part(self, *, unless_wished: bool = False) -> None:
        sitting = self._sitting
        inbox, attempt = sitting.wires.inbox, sitting.run.attempt
        sitting.closed = await inbox.close(sitting.job, attempt, unless_waiting=True, unless_wished=unless_wished)
        if sitting.closed:
            await sitting.dismiss()
