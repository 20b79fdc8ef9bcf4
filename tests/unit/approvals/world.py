"""The approvals service's world in memory: logs in lists, timers that only the test lets fire, and the real handlers around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.unit.approvals.stories import NOON
from trunkline.bus import Loaded, Stored
from trunkline.contracts.approval import RequestApproval
from trunkline.contracts.message import Accepted, Fact
from trunkline.contracts.record import Record
from trunkline_approvals.handlers.answer_command import AnswerCommand
from trunkline_approvals.handlers.ask_for_release import AskForRelease
from trunkline_approvals.handlers.asking import Asking
from trunkline_approvals.handlers.expire_approval import Expire
from trunkline_approvals.handlers.question_news import QuestionNews
from trunkline_approvals.handlers.run_news import RunNews
from trunkline_approvals.handlers.task_news import TaskNews
from trunkline_approvals.model import Cue, ExpireApproval, Rule, State, decide, evolve

TASK = "evt.acme.t1.task"
GATE = "evt.acme.t1.approval-release"
RUN = "evt.acme.t1.run"
INSTANCE = "evt.acme.t1.instance"


@dataclass(frozen=True)
class Came:
    state: State | None
    seq: int
    facts: Sequence[Fact]


@dataclass
class World:
    """Approvals, expiries and tasks at once. `meanwhile` happens once, after a log was read."""

    rules: tuple[Rule, ...] = ()
    now: datetime = NOON
    logs: dict[str, list[Fact]] = field(default_factory=dict)
    timers: list[tuple[datetime, ExpireApproval]] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def receive(self, subject: str, command: Cue, at: datetime, cause: str = "") -> Came:
        facts = decide(await self.state(subject, 1), command)
        if facts:
            self.story.append("stored")
            self.logs.setdefault(subject, []).extend(facts)
        return Came(await self.state(subject, 1), len(self.logs.get(subject, [])), facts)

    async def state(self, subject: str, since: int) -> State | None:
        state: State | None = None
        for fact in self.logs.get(subject, []):
            state = evolve(state, fact)
        await self._go_on()
        return state

    async def load(self, subject: str) -> Loaded:
        facts = tuple(self.logs.get(subject, []))
        await self._go_on()
        return Loaded((stored(subject, *facts),) if facts else (), len(facts))

    async def _go_on(self) -> None:
        if self.meanwhile:
            happens, self.meanwhile = self.meanwhile, None
            await happens()

    async def set(self, at: datetime, wake: ExpireApproval) -> None:
        self.story.append("timer")
        self.timers.append((at, wake))

    def asking(self) -> Asking:
        return Asking(self, self, self.rules)

    def ask_for_release(self) -> AskForRelease:
        return AskForRelease(self, self.asking(), lambda: self.now)

    def commands(self) -> AnswerCommand:
        return AnswerCommand(self, self.asking(), self.ask_for_release(), lambda: self.now)

    async def ask(self, request: RequestApproval) -> Accepted:
        return await self.commands().request(request)

    async def wake(self, wake: ExpireApproval) -> None:
        await Expire(self, self, lambda: self.now)(wake)

    async def hear(self, *facts: Fact) -> None:
        """A record of the task is delivered, which lies in its log already."""
        await TaskNews(self, self.ask_for_release(), self.runs(), lambda: self.now).on(stored(TASK, *facts))

    def say(self, *facts: Fact, subject: str = TASK) -> None:
        """The router stores a record of the task, or a carrier one of the run."""
        self.logs.setdefault(subject, []).extend(facts)

    def runs(self) -> RunNews:
        return RunNews(self, self, self.asking(), lambda: self.now)

    async def run_says(self, *facts: Fact, at: datetime = NOON) -> None:
        """A record of the run is stored, and delivered."""
        self.say(*facts, subject=RUN)
        await self.hear_run(*facts, at=at)

    async def hear_run(self, *facts: Fact, at: datetime = NOON) -> None:
        """A record of the run is delivered, whatever lies in its log."""
        await self.runs().on(stored(RUN, *facts, at=at))

    async def instance_says(self, *facts: Fact) -> None:
        """A record of the instance is stored, and delivered."""
        self.say(*facts, subject=INSTANCE)
        await self.hear_instance(*facts)

    async def hear_instance(self, *facts: Fact) -> None:
        """A record of the instance is delivered, whatever lies in its log."""
        await QuestionNews(self, self, self.asking(), lambda: self.now).on(stored(INSTANCE, *facts))


def stored(subject: str, *facts: Fact, at: datetime = NOON) -> Stored:
    return Stored(1, subject, Record(at=at, facts=facts).model_dump_json().encode())
