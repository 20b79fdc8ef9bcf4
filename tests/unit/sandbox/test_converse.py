"""A message that an agent's run has taken reaches the agent, also when whoever takes over finds it not ready yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from trunkline_sandbox.handlers.converse import Converse
from trunkline_sandbox.handlers.sitting import Sitting
from trunkline_sandbox.model import Entry, Skill, Talk


@dataclass
class Shy:
    """An agent that can be spoken to only once its conversation exists, as those by JSON-RPC."""

    skill: Skill = Skill(steer=True)

    def say(self, talk: Talk, message: str, text: str) -> tuple[Entry, ...]:
        return (Entry(f"msg-{message}", text.encode()),) if talk.ready else ()


class Inbox:
    """One message was taken before."""

    async def taken(self, job: object, sitting: int) -> tuple[SimpleNamespace, ...]:
        return (SimpleNamespace(id="m1", text="use tabs"),)

    async def next(self, job: object) -> None:
        return None


@dataclass
class Sat:
    """A sitting as far as a conversation has to do with it."""

    talk: Talk = Talk()
    agent: Shy = field(default_factory=Shy)
    wires: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(inbox=Inbox()))
    run: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(questions=SimpleNamespace(open=()), resting=False))
    job: None = None
    number: int = 1
    leaving: bool = False
    end: None = None
    frozen: bool = False
    idle: bool = False
    words: dict[str, str] = field(default_factory=dict)
    flying: dict[str, float] = field(default_factory=dict)
    said: list[Entry] = field(default_factory=list)

    async def tell(self, entries: Iterable[Entry]) -> None:
        self.said += entries


async def test_what_was_taken_is_told_as_soon_as_the_agent_can_be_spoken_to_and_once() -> None:
    sat = Sat()
    converse = Converse(cast(Sitting, cast(Any, sat)))

    await converse.take_up()
    await converse.look()
    assert sat.said == []

    sat.talk = Talk(ready=True)
    for _ in range(3):
        await converse.look()
    assert sat.said == [Entry("msg-m1", b"use tabs")]
