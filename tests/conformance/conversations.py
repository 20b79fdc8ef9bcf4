"""What every agent that is spoken to promises: one suite over the port, run on each of them with a model that keeps to a script."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.conformance.running import Place, Program, running
from trunkline.contracts.run import Said
from trunkline_sandbox.model import Ending, Verdict
from trunkline_sandbox.model.again import again, meanwhile
from trunkline_sandbox.ports import Agent


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class Shell:
    """The model wants this command run, by whatever tool the agent has for it."""

    command: str


@dataclass(frozen=True)
class Wait:
    """The model answers nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Refuse:
    """The model's API refuses in place of the answer: once, or each time."""

    status: int
    always: bool = False


@dataclass(frozen=True)
class Cut:
    """The connection breaks in the middle of the answer: once, or each time."""

    always: bool = False


Step = Say | Shell | Wait | Refuse | Cut
Turn = tuple[Step, ...]
HELLO = Shell("echo hello > made.txt")
ASKED: dict[str, Any] = {"supervised": True, "asked_always": ("*",)}
Asked = Callable[[], list[str]]
"""Every request that the model got so far, as text."""


@dataclass(frozen=True)
class AgentUnderTest:
    """`model` serves a script behind the agent while its block is open, and tells where the agent finds it: names for its environment."""

    agent: Agent
    folder: Path
    model: Callable[[tuple[Turn, ...]], AbstractAsyncContextManager[tuple[Asked, dict[str, str | None]]]]


@dataclass(frozen=True)
class Stage:
    """An agent with its model and places to work."""

    agent: Agent
    place: Place
    asked: Asked

    def runs(self, prompt: str, key: str = "run-1", **more: object) -> AbstractAsyncContextManager[Program]:
        return running(self.agent, self.place.task(prompt, **more), self.place, key)

    def written(self, name: str) -> str | None:
        path = self.place.workspace / name
        return path.read_text() if path.exists() else None


@asynccontextmanager
async def stage(under_test: AgentUnderTest, *turns: Turn) -> AsyncIterator[Stage]:
    workspace, home = under_test.folder / "workspace", under_test.folder / "home"
    workspace.mkdir()
    home.mkdir()
    async with under_test.model(turns) as (asked, env):
        yield Stage(under_test.agent, Place(workspace, home, env), asked)


async def a_message_said_while_it_works_is_seen(under_test: AgentUnderTest) -> None:
    slow = Shell("python3 -c 'import time; time.sleep(1.5)'")
    async with stage(under_test, (slow,), (Say("One."),), (Say("Two."),)) as here, here.runs("Begin.") as program:
        await program.until(lambda _: any(said.kind is Said.TOOL_CALL for said in program.said))
        await program.say("m-1", "Mind the gap, please.")
        await program.until(lambda talk: "m-1" in talk.heard)
        await program.at_rest(1)
        ending = await program.leave()

    assert ending.ok
    assert "Mind the gap, please." in here.asked()[-1]


async def a_message_said_at_rest_begins_a_turn(under_test: AgentUnderTest) -> None:
    async with stage(under_test, (Say("One."),), (Say("Two."),)) as here, here.runs("Begin.") as program:
        first = await program.at_rest(1)
        await program.say("m-1", "And now the rest.")
        await program.at_rest(first.turns + 1)
        ending = await program.leave()

    assert (ending.ok, ending.summary) == (True, "Two.")
    assert "m-1" in program.talk.heard
    assert "And now the rest." in here.asked()[-1]


async def an_allowed_call_runs_when_it_is_allowed_and_not_before(under_test: AgentUnderTest) -> None:
    async with stage(under_test, (HELLO,), (Say("Done."),)) as here, here.runs("Go.", **ASKED) as program:
        (ask,) = (await program.asks()).asks
        await asyncio.sleep(0.3)
        before = here.written("made.txt")
        await program.tell(program.agent.answer(program.talk, ask, Verdict(True)))
        over = await program.at_rest(1)
        ending = await program.leave()

    assert (before, here.written("made.txt")) == (None, "hello\n")
    assert "echo hello > made.txt" in ask.argument
    assert (ending.ok, over.asks) == (True, ())


async def a_denied_call_does_not_run_and_its_reason_reaches_the_model(under_test: AgentUnderTest) -> None:
    async with stage(under_test, (HELLO,), (Say("Well."),), (Say("Well, well."),)) as here, here.runs("Go.", **ASKED) as program:
        (ask,) = (await program.asks()).asks
        await program.tell(program.agent.answer(program.talk, ask, Verdict(False, "not on a Friday")))
        await program.at_rest(1)
        ending = await program.leave()

    assert here.written("made.txt") is None
    assert ending.ok
    if program.agent.skill.reason:
        assert "not on a Friday" in here.asked()[-1]


async def a_rewritten_call_runs_as_it_was_rewritten(under_test: AgentUnderTest) -> None:
    if not under_test.agent.skill.rewrite:
        return
    async with stage(under_test, (HELLO,), (Say("Done."),)) as here, here.runs("Go.", **ASKED) as program:
        (ask,) = (await program.asks()).asks
        rewritten = {**ask.input, "command": "echo other > made.txt"}
        await program.tell(program.agent.answer(program.talk, ask, Verdict(True, input=rewritten)))
        await program.at_rest(1)
        await program.leave()

    assert here.written("made.txt") == "other\n"


async def who_is_not_supervised_is_not_asked(under_test: AgentUnderTest) -> None:
    async with stage(under_test, (HELLO,), (Say("Done."),)) as here, here.runs("Go.") as program:
        await program.at_rest(1)
        ending = await program.leave()

    assert ending.ok
    assert here.written("made.txt") == "hello\n"


async def an_interrupt_ends_the_turn_and_it_may_be_spoken_to_again(under_test: AgentUnderTest) -> None:
    slow = Shell("python3 -c 'import time; time.sleep(600)'; echo late > made.txt")
    async with stage(under_test, (slow,), (Say("Listening."),), (Say("Listening still."),)) as here, here.runs("Go.") as program:
        await program.until(lambda _: any(said.kind is Said.TOOL_CALL for said in program.said))
        await asyncio.sleep(0.3)
        await program.tell(program.agent.interrupt(program.talk, "w-1"))
        rested = await program.at_rest(1)
        await program.say("m-1", "Something else, please.")
        await program.at_rest(rested.turns + 1)
        ending = await program.leave()

    assert ending.ok
    assert "Something else, please." in here.asked()[-1]
    assert here.written("made.txt") is None


async def what_an_interrupt_cost_it_reaches_it_when_it_is_told_again(under_test: AgentUnderTest) -> None:
    """It may drop what it was told while a tool ran; it only must not claim to have it."""
    slow = Shell("python3 -c 'import time; time.sleep(600)'; echo late > made.txt")
    said, more = "Mind the gap, please.", tuple((Say(f"Listening {number}."),) for number in range(4))
    async with stage(under_test, (slow,), *more) as here, here.runs("Go.") as program:
        await program.until(lambda _: any(said.kind is Said.TOOL_CALL for said in program.said))
        await program.say("m-1", said)
        await asyncio.sleep(0.3)
        await program.tell(program.agent.interrupt(program.talk, "w-1"))
        await program.at_rest(1)
        await program.say(again("m-1"), meanwhile(said))
        await program.say("go-on-1", "Go on.")
        await program.until(lambda talk: {again("m-1"), "go-on-1"} <= set(talk.heard) and not talk.busy)
        ending = await program.leave()

    assert ending.ok
    heard = here.asked()[-1]
    assert meanwhile(said) in heard
    assert "Go on." in heard
    assert "m-1" not in program.talk.heard or said in heard.replace(meanwhile(said), "")
    assert here.written("made.txt") is None


async def an_interrupt_takes_back_what_was_asked(under_test: AgentUnderTest) -> None:
    async with stage(under_test, (HELLO,), (Say("Fine."),)) as here, here.runs("Go.", **ASKED) as program:
        (ask,) = (await program.asks()).asks
        await program.tell(program.agent.interrupt(program.talk, "w-1"))
        rested = await program.at_rest(1)
        await program.tell(program.agent.answer(program.talk, ask, Verdict(True)))
        await program.say("m-1", "Leave it.")
        await program.at_rest(rested.turns + 1)
        await program.leave()

    assert rested.asks == ()
    assert here.written("made.txt") is None


async def it_can_leave_while_a_call_is_asked_about_and_go_on_later(under_test: AgentUnderTest) -> None:
    """What parking does: the program goes at once, and the next one knows what was before."""
    if not under_test.agent.skill.resume:
        return
    turns: tuple[Turn, ...] = ((HELLO,), (Say("Once more."),), (Say("And more."),))
    async with stage(under_test, *turns) as here:
        async with here.runs("The word is heron.", **ASKED) as program:
            await program.asks()
            await program.leave()
        async with here.runs("Go on.", "run-1.2", session=program.talk.session, **ASKED) as later:
            await later.at_rest(1)
            await later.leave()

    assert here.written("made.txt") is None
    assert "The word is heron." in here.asked()[-1]
    assert "Go on." in here.asked()[-1]


async def a_conversation_goes_on_in_a_new_home_that_has_its_files(under_test: AgentUnderTest) -> None:
    if not under_test.agent.skill.resume:
        return
    async with stage(under_test, (Say("One."),), (Say("Two."),)) as here, here.runs("The word is heron.") as program:
        await program.at_rest(1)
        await program.leave()
        moved = replace(here, place=replace(here.place, home=_moved(here, program)))
        async with moved.runs("What is the word?", "run-2", session=program.talk.session) as later:
            await later.at_rest(1)
            ending = await later.leave()

    assert (ending.ok, ending.summary) == (True, "Two.")
    assert later.talk.session == program.talk.session
    assert "The word is heron." in here.asked()[-1]


async def a_fork_knows_what_was_and_leaves_its_origin_alone(under_test: AgentUnderTest) -> None:
    if not under_test.agent.skill.fork:
        return
    async with stage(under_test, (Say("One."),), (Say("Two."),)) as here, here.runs("The word is heron.") as program:
        await program.at_rest(1)
        await program.leave()
        before = _session(here, program)
        async with here.runs("And elsewhere?", "run-2", session=program.talk.session, fork=True) as fork:
            await fork.at_rest(1)
            ending = await fork.leave()

    assert (ending.ok, _session(here, program)) == (True, before)
    assert fork.talk.session not in ("", program.talk.session)
    assert "The word is heron." in here.asked()[-1]


async def a_conversation_that_is_lost_fails_and_may_be_tried_again(under_test: AgentUnderTest) -> None:
    if not under_test.agent.skill.resume:
        return
    async with stage(under_test, (Say("One."),)) as here, here.runs("Go on.", session="6a1d0e0e-6ad8-4a5c-9e1c-7b1a5a5f0c11") as program:
        ending = await program.judged()

    assert not ending.ok
    assert ending.code
    assert ending.error


async def farewell_ends_it_and_its_result_stands(under_test: AgentUnderTest) -> None:
    async with stage(under_test, (Say("Done, all of it."),)) as here, here.runs("Go.") as program:
        await program.at_rest(1)
        ending = await program.leave()

    assert (ending.ok, ending.summary) == (True, "Done, all of it.")


async def the_fold_may_be_taken_up_anywhere(under_test: AgentUnderTest) -> None:
    """Whoever takes over folds from the first line; the same lines make the same talk, told again they make the same entries."""
    async with stage(under_test, (HELLO,), (Say("Done."),)) as here, here.runs("Go.", **ASKED) as program:
        (ask,) = (await program.asks()).asks
        await program.tell(program.agent.answer(program.talk, ask, Verdict(True)))
        await program.at_rest(1)
        await program.leave()
        agent, talk = program.agent, program.opening
        for line in program.lines:
            talk = agent.hear(line, talk).talk

    assert talk == program.talk
    assert agent.answer(talk, ask, Verdict(True)) == agent.answer(program.talk, ask, Verdict(True))
    assert agent.say(talk, "m-1", "Hello.") == agent.say(program.talk, "m-1", "Hello.")
    assert not any(said.kind is Said.RAW for said in program.said)


async def a_line_of_five_mebibytes_is_heard(under_test: AgentUnderTest) -> None:
    async with stage(under_test, (Say("0123456789abcde\n" * (5 << 16)),)) as here, here.runs("Go.") as program:
        await program.at_rest(1)
        ending = await program.leave()

    assert max(len(line.data) for line in program.lines) > 5 << 20
    assert ending.ok
    assert len(ending.summary.encode()) <= 4 << 10


PROMISES: list[Callable[[AgentUnderTest], Awaitable[None]]] = [
    a_message_said_while_it_works_is_seen,
    a_message_said_at_rest_begins_a_turn,
    an_allowed_call_runs_when_it_is_allowed_and_not_before,
    a_denied_call_does_not_run_and_its_reason_reaches_the_model,
    a_rewritten_call_runs_as_it_was_rewritten,
    who_is_not_supervised_is_not_asked,
    an_interrupt_ends_the_turn_and_it_may_be_spoken_to_again,
    what_an_interrupt_cost_it_reaches_it_when_it_is_told_again,
    an_interrupt_takes_back_what_was_asked,
    it_can_leave_while_a_call_is_asked_about_and_go_on_later,
    a_conversation_goes_on_in_a_new_home_that_has_its_files,
    a_fork_knows_what_was_and_leaves_its_origin_alone,
    a_conversation_that_is_lost_fails_and_may_be_tried_again,
    farewell_ends_it_and_its_result_stands,
    the_fold_may_be_taken_up_anywhere,
    a_line_of_five_mebibytes_is_heard,
]


async def a_refused_key_fails_and_is_told(under_test: AgentUnderTest) -> None:
    ending, _ = await _talked(under_test, (Refuse(401, always=True), Say("never")))

    assert (ending.ok, ending.code, ending.recoverable) == (False, "MODEL_AUTH_FAILED", False)


async def a_model_that_limits_once_is_asked_again(under_test: AgentUnderTest) -> None:
    ending, asked = await _talked(under_test, (Refuse(429), Say("Fine after all.")))

    assert (ending.ok, ending.summary, len(asked)) == (True, "Fine after all.", 2)


async def a_model_that_stays_overloaded_is_given_up_and_may_be_tried_again(under_test: AgentUnderTest) -> None:
    ending, _ = await _talked(under_test, (Refuse(529, always=True), Say("never")))

    assert (ending.code, ending.recoverable) == ("MODEL_UNAVAILABLE", True)


async def a_connection_that_is_cut_once_is_tried_again(under_test: AgentUnderTest) -> None:
    ending, _ = await _talked(under_test, (Cut(), Say("Fine after all.")))

    assert (ending.ok, ending.summary) == (True, "Fine after all.")


async def a_slow_model_is_waited_for(under_test: AgentUnderTest) -> None:
    ending, asked = await _talked(under_test, (Wait(3), Say("There.")))

    assert (ending.ok, ending.summary, len(asked)) == (True, "There.", 1)


MODEL_FAULTS: list[Callable[[AgentUnderTest], Awaitable[None]]] = [
    a_refused_key_fails_and_is_told,
    a_model_that_limits_once_is_asked_again,
    a_model_that_stays_overloaded_is_given_up_and_may_be_tried_again,
    a_connection_that_is_cut_once_is_tried_again,
    a_slow_model_is_waited_for,
]


async def _talked(under_test: AgentUnderTest, turn: Turn) -> tuple[Ending, list[str]]:
    async with stage(under_test, turn) as here, here.runs("Go.") as program:
        await program.at_rest(1)
        return await program.leave(), here.asked()


def _moved(here: Stage, program: Program) -> Path:
    """A home that holds nothing but the conversation's files."""
    home = here.place.home.with_name("another-home")
    for pattern in program.agent.session_files(program.talk):
        for path in here.place.home.glob(pattern):
            target = home / path.relative_to(here.place.home)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                shutil.copy(path, target)
    assert home.is_dir(), "no file holds the conversation"
    return home


def _session(here: Stage, program: Program) -> dict[str, bytes]:
    patterns = program.agent.session_files(program.talk)
    found = {path for pattern in patterns for path in here.place.home.glob(pattern) if path.is_file()}
    return {str(path): path.read_bytes() for path in found if program.talk.session in path.name}
