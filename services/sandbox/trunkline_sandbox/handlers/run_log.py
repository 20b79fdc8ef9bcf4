"""Writing a run down: every append is fenced by what this owner saw last, so an owner who was replaced can write no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from trunkline.bus import Log, WorkItem
from trunkline.contracts import subjects
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.run import AgentOutput
from trunkline.runtime.ids import new_id
from trunkline.telemetry.key_lines import KeyLines
from trunkline.telemetry.redaction import Redactor
from trunkline_sandbox.model import Run, evolve


class RunLog:
    """The `run` and `output` parts of one task, as one owner writes them. Appends raise Raced once somebody else wrote.

    No secret that `redactor` knows comes into the log by here.
    """

    def __init__(self, log: Log, item: WorkItem, now: Callable[[], datetime], redactor: Redactor | None = None) -> None:
        tenant, task = TenantId(item.tenant), TaskId(item.task)
        self.task = item.task
        self._log = log
        self._attempt = item.attempt
        self._now = now
        self._redactor = redactor or Redactor()
        self._keys = KeyLines()
        self._run_subject = subjects.event(tenant, task, "run")
        self._output_subject = subjects.event(tenant, task, "output")
        self._run_seq = 0
        self._output_seq = 0
        self._turn = asyncio.Lock()
        self.run: Run | None = None

    def strike(self, redactor: Redactor) -> None:
        """From here on by what this one knows."""
        self._redactor = redactor

    def struck(self, text: str) -> str:
        """`text` as it may leave us."""
        return self._redactor.text(text)

    async def load(self) -> Run | None:
        """Read the run as it is now."""
        loaded = await self._log.load(self._run_subject)
        self.run, self._run_seq = None, loaded.seq
        for stored in loaded.records:
            record = stored.record
            for fact in record.facts:
                self.run = evolve(self.run, fact, record.at)
        return self.run

    async def append(self, facts: Sequence[Fact], cause: str) -> Run:
        """Write one decision down. It is written whole though the caller is cancelled: the next append must know where it stands."""
        return await asyncio.shield(self._append([self._clean(fact) for fact in facts], cause))

    async def _append(self, facts: Sequence[Fact], cause: str) -> Run:
        async with self._turn:
            at = self._now()
            record = Record(at=at, cause=cause, facts=tuple(facts))
            self._run_seq = await self._log.append(self._run_subject, record, expect=self._run_seq, id=new_id())
            for fact in facts:
                self.run = evolve(self.run, fact, at)
            assert self.run is not None
            return self.run

    async def last_line(self, sitting: int = 1) -> int:
        """Number of the last line of this sitting's output that is on the timeline, 0 for none."""
        stored = await self._log.last(self._output_subject)
        self._output_seq = stored.seq if stored else 0
        facts = stored.record.facts if stored else ()
        said = [fact for fact in facts if isinstance(fact, AgentOutput)]
        self._keys = KeyLines(said[-1].text if said else "")
        names = (self._attempt, sitting)
        return max((fact.line for fact in said if (fact.attempt, fact.sitting) == names), default=0)

    async def say(self, said: Sequence[AgentOutput], sitting: int = 1) -> None:
        """Put output on the timeline."""
        facts = tuple(self._spoken(output, sitting) for output in said)
        record = Record(at=self._now(), cause="output", facts=facts)
        self._output_seq = await self._log.append(self._output_subject, record, expect=self._output_seq, id=new_id())

    def _spoken(self, output: AgentOutput, sitting: int) -> AgentOutput:
        strike, text = self._redactor, self._keys.text(output.text)
        short = output.display if text == output.text else self._keys.short(output.display)
        clean = {"text": strike.text(text), "display": strike.text(short), "detail": strike.json(output.detail)}
        tool = output.tool and strike.text(output.tool)
        return output.model_copy(update={"attempt": self._attempt, "sitting": sitting, "tool": tool, **clean})

    def _clean(self, fact: Fact) -> Fact:
        said = fact.model_dump(mode="json")
        clean = self._redactor.with_(*self._keys.known).json(said) if self._keys.known else self._redactor.json(said)
        return fact if clean == said else type(fact).model_validate(clean)
