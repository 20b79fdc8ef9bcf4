"""A message that an agent's run has taken reaches the agent, whoever takes over, whoever interrupts it, and once."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from trunkline.contracts.message import Fact
from trunkline_sandbox.handlers.attend import Attend
from trunkline_sandbox.handlers.converse import UNSEEN_S, Converse
from trunkline_sandbox.handlers.sitting import GO_ON, Sitting
from trunkline_sandbox.handlers.wake import Wake
from trunkline_sandbox.model import Entry, Skill, Talk
from trunkline_sandbox.model.budget import BudgetScope, UsedUp

AGAIN = "Meanwhile somebody said: use tabs"
AT_REST = Talk(ready=True, turns=1)
AT_WORK = Talk(ready=True, busy=True)


@dataclass
class Shy:
    """An agent that can be spoken to only once its conversation exists, as those by JSON-RPC."""

    skill: Skill = Skill(steer=True)

    def say(self, talk: Talk, message: str, text: str) -> tuple[Entry, ...]:
        return (Entry(f"msg-{message}", text.encode()),) if talk.ready else ()


@dataclass
class Inbox:
    """What was taken before, and what waits."""

    settled: list[SimpleNamespace] = field(default_factory=list)
    waiting: list[SimpleNamespace] = field(default_factory=list)
    resumed: str = ""
    wished: bool = False
    closed: bool = False

    async def taken(self, job: object, sitting: int) -> tuple[SimpleNamespace, ...]:
        return tuple(self.settled)

    async def next(self, job: object) -> SimpleNamespace | None:
        return self.waiting[0] if self.waiting else None

    async def take(self, job: object, letter: SimpleNamespace, sitting: int) -> SimpleNamespace:
        self.waiting.remove(letter)
        self.settled.append(letter)
        return letter

    async def wishes(self, job: object) -> SimpleNamespace:
        return SimpleNamespace(resumed=self.resumed)

    async def close(self, job: object, attempt: int, *, unless_waiting: bool, unless_wished: bool) -> bool:
        self.closed = not (unless_waiting and self.waiting) and not (unless_wished and self.wished)
        return self.closed


def quiet_run() -> SimpleNamespace:
    questions = SimpleNamespace(open=(), waits=None)
    return SimpleNamespace(attempt=1, questions=questions, resting=False, interrupts=frozenset())


@dataclass
class Sat:
    """A sitting as far as a conversation has to do with it; `journal` outlives its carriers, as that of a sandbox does."""

    inbox: Inbox
    journal: dict[str, Entry] = field(default_factory=dict)
    talk: Talk = Talk()
    agent: Shy = field(default_factory=Shy)
    run: SimpleNamespace = field(default_factory=quiet_run)
    job: None = None
    number: int = 1
    leaving: bool = False
    end: None = None
    till: None = None
    frozen: bool | None = False
    words: dict[str, str] = field(default_factory=dict)
    flying: dict[str, float] = field(default_factory=dict)
    dismissed: bool = False

    @property
    def wires(self) -> SimpleNamespace:
        return SimpleNamespace(inbox=self.inbox)

    @property
    def told(self) -> set[str]:
        return set(self.journal)

    @property
    def idle(self) -> bool:
        return self.talk.ready and self.talk.turns > 0 and not self.talk.busy

    @property
    def said(self) -> list[str]:
        return [entry.data.decode() for entry in self.journal.values()]

    async def tell(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.journal.setdefault(entry.id, entry)

    async def append(self, facts: Iterable[Fact], cause: str) -> None:
        self.run.resting = False

    async def dismiss(self) -> None:
        self.dismissed = True

    def converse(self) -> Converse:
        return Converse(cast(Sitting, cast(Any, self)))

    def interrupted(self) -> None:
        """Its turn is over, and all that it had not heard by then is gone: as Codex does it."""
        self.run.resting, self.run.interrupts = True, frozenset({"w1"})
        self.talk = replace(self.talk, busy=False, turns=self.talk.turns + 1)

    def long_idle(self) -> None:
        self.flying = {name: time.monotonic() - UNSEEN_S - 1 for name in self.flying}

    def taken_over(self) -> Sat:
        """Its carrier was killed: the next one knows what is written down."""
        return Sat(self.inbox, self.journal, run=self.run)


def letter(id: str = "m1", text: str = "use tabs") -> SimpleNamespace:
    return SimpleNamespace(id=id, text=text)


def heard(talk: Talk, *messages: str) -> Talk:
    return replace(talk, heard=messages)


async def test_what_was_taken_is_told_as_soon_as_the_agent_can_be_spoken_to_and_once() -> None:
    sat = Sat(Inbox([letter()]))
    converse = sat.converse()

    await converse.take_up()
    await converse.look()
    assert sat.said == []

    sat.talk = AT_WORK
    for _ in range(3):
        await converse.look()
    assert sat.said == ["use tabs"]


async def test_nothing_more_is_said_and_nobody_is_sent_home_before_the_agent_has_what_it_was_told() -> None:
    sat = Sat(Inbox(waiting=[letter(), letter("m2", "and tests")]), talk=AT_REST)
    converse = sat.converse()

    for _ in range(3):
        await converse.look()
    assert (sat.said, sat.inbox.closed, sat.dismissed) == (["use tabs"], False, False)

    sat.talk = heard(AT_REST, "m1")
    for _ in range(3):
        await converse.look()
    assert (sat.said, sat.inbox.closed, sat.dismissed) == (["use tabs", "and tests"], False, False)

    sat.talk = heard(AT_REST, "m1", "m2")
    await converse.look()
    assert (sat.inbox.closed, sat.dismissed) == (True, True)


async def test_an_agent_that_never_says_what_it_heard_has_it_once_it_does_nothing_for_long() -> None:
    sat = Sat(Inbox(waiting=[letter(), letter("m2", "and tests")]), talk=AT_REST)
    converse = sat.converse()
    await converse.look()
    await converse.look()
    assert time.monotonic() - sat.flying["m1"] < UNSEEN_S, "it is counted from when it was first seen to do nothing"

    sat.talk = AT_WORK
    sat.long_idle()
    await converse.look()
    assert sat.flying == {"m1": 0.0}, "it works: what it does not hear now it may hear yet"

    sat.talk = AT_REST
    await converse.look()
    sat.long_idle()
    await converse.look()
    assert sat.said == ["use tabs", "and tests"]


@pytest.fixture
async def lost() -> Sat:
    """Told while it worked, and interrupted before it heard it; what it was told first it heard."""
    sat = Sat(Inbox([letter("m0", "be brief")], [letter()]), talk=heard(AT_WORK, "m0"))
    converse = sat.converse()
    await converse.take_up()
    await converse.look()
    assert sat.said == ["be brief", "use tabs"]
    sat.interrupted()
    await converse.look()
    sat.long_idle()
    await converse.look()
    return sat


async def test_what_an_interrupt_cost_the_agent_is_told_once_more_when_it_is_resumed(lost: Sat) -> None:
    assert lost.said == ["be brief", "use tabs"], "it rests until somebody lets it go on"

    lost.inbox.resumed = "r1"
    converse = lost.converse()
    for _ in range(3):
        await converse.look()
    assert lost.said == ["be brief", "use tabs", AGAIN, GO_ON]
    assert not lost.run.resting

    lost.talk = heard(AT_REST, "m0", "again-m1", "go-on-r1")
    await converse.look()
    assert lost.dismissed
    assert lost.said == ["be brief", "use tabs", AGAIN, GO_ON]


async def test_what_an_interrupt_cost_the_agent_comes_before_what_is_said_next(lost: Sat) -> None:
    lost.inbox.waiting.append(letter("m2", "and tests"))
    for _ in range(3):
        await lost.converse().look()
    assert lost.said == ["be brief", "use tabs", AGAIN, "and tests"]


async def test_what_is_lost_twice_is_not_told_for_ever(lost: Sat) -> None:
    lost.inbox.resumed = "r1"
    converse = lost.converse()
    await converse.look()
    for _ in range(5):
        lost.interrupted()
        await converse.look()
        lost.long_idle()
    assert lost.said == ["be brief", "use tabs", AGAIN, GO_ON]


async def test_what_the_agent_heard_in_spite_of_an_interrupt_it_is_not_told_again() -> None:
    sat = Sat(Inbox(waiting=[letter()]), talk=AT_WORK)
    converse = sat.converse()
    await converse.look()
    sat.interrupted()
    await converse.look()
    sat.talk = heard(AT_REST, "m1")
    sat.inbox.resumed = "r1"
    await converse.look()
    assert sat.said == ["use tabs", GO_ON]


@pytest.mark.parametrize("resumed", [False, True])
async def test_whoever_takes_over_tells_once_what_an_interrupt_cost_the_agent(lost: Sat, resumed: bool) -> None:
    if resumed:
        lost.inbox.resumed = "r1"
        await lost.converse().look()
    lost.inbox.resumed = "r1"

    next_one = lost.taken_over()
    converse = next_one.converse()
    await converse.take_up()
    await converse.look()
    next_one.talk = heard(AT_REST, "m0")  # read again from its first line
    for _ in range(6):
        await converse.look()
        next_one.long_idle()
    assert sorted(next_one.said) == sorted(["be brief", "use tabs", AGAIN, GO_ON])


async def test_whoever_takes_over_does_not_wait_for_what_was_told_once_more_and_heard(lost: Sat) -> None:
    lost.inbox.resumed = "r1"
    await lost.converse().look()
    next_one = lost.taken_over()
    converse = next_one.converse()
    next_one.talk = heard(AT_REST, "m0", "go-on-r1")
    await converse.take_up()
    assert set(next_one.flying) == {"m1"}

    next_one.talk = heard(AT_REST, "m0", "go-on-r1", "again-m1")
    await converse.look()
    assert (next_one.dismissed, next_one.words) == (True, {})


async def test_who_comes_to_rest_and_is_wished_nothing_is_sent_home_without_a_look() -> None:
    sat = Sat(Inbox(), talk=AT_REST)
    await sat.converse().part_at_once()
    assert sat.dismissed and sat.inbox.closed


@pytest.mark.parametrize("wanted", ["a message", "a wish", "not known", "paused", "at rest", "told something", "at work"])
async def test_who_may_be_wanted_for_something_is_looked_after_first(wanted: str) -> None:
    sat = Sat(Inbox(), talk=AT_REST)
    match wanted:
        case "a message":
            sat.inbox.waiting.append(letter())
        case "a wish":
            sat.inbox.wished = True
        case "not known":
            sat.frozen = None
        case "paused":
            sat.frozen = True
        case "at rest":
            sat.run.resting = True
        case "told something":
            sat.flying["m1"] = 0.0
        case _:
            sat.talk = AT_WORK
    await sat.converse().part_at_once()
    assert not sat.dismissed and not sat.inbox.closed


@dataclass
class Spending(Sat):
    """One whose budget is used up by what it said last, while it is sent home."""

    job: Any = field(default_factory=lambda: SimpleNamespace(named=None, log=None))
    world: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(keep=None))
    till: Any = field(default_factory=lambda: SimpleNamespace(what=None))
    asked: bool = False

    async def dismiss(self) -> None:
        self.dismissed = self.leaving = True
        self.till.what = UsedUp(BudgetScope.TASK, 1.0, 1.0)

    async def listen_for(self, name: str) -> None:
        self.asked = True


async def test_nobody_is_asked_for_more_for_an_agent_that_was_just_sent_home() -> None:
    sat = Spending(Inbox(), talk=AT_REST)
    attend = Attend(cast(Sitting, cast(Any, sat)), cast(Wake, None))
    await attend._look(came_to_rest=True)
    assert sat.dismissed and not sat.asked
