"""The real Claude Code in the whole product: it asks, is put aside while people think, goes on, and stops at its budget."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conformance.claude_here import CLAUDE, NOT_TESTED
from tests.flows.talkers import Person, awaited, committed, environment, given, of, person
from trunkline.contracts.run import ApprovalWanted, BudgetRaised, CallAnswered, RunParked, RunWaits, Wait
from trunkline.testing.scripted_model import Text, ToolUse, Turn, scripted_model
from trunkline.testing.stack import Stack, stack

pytestmark = [
    pytest.mark.flow,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(CLAUDE is None, reason=NOT_TESTED),
]

KEY = "sk-real-key-000111"
WRITES: Turn = (ToolUse("Bash", {"command": "echo once >> ran.txt"}),)
DONE: Turn = (Text("It is done."),)
PUT_ASIDE = (WRITES, DONE, WRITES, DONE)
"""Claude Code itself says a word for the model where a conversation was broken off, so what comes after it is turn 2."""


@contextmanager
def model(turns: tuple[Turn, ...]) -> Iterator[str]:
    """The address of a model that says what was written for it, in a thread of its own."""
    found, over = [], asyncio.Event()
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with scripted_model(turns, key=KEY) as scripted:
            found.append(scripted.url)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


@contextmanager
def with_claude(*turns: Turn, **more: str) -> Iterator[Stack]:
    rules = json.dumps([{"tool": "Bash", "then": "ask"}])
    with model(turns) as url:
        changes = {"TRUNKLINE_AGENT": "claude", "TRUNKLINE_TOOL_RULES": rules, "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": url}
        with stack(environment(**{**changes, "TRUNKLINE_CLAUDE_PATH": str(CLAUDE), **more}), "--log-level", "info") as running:
            yield running


def eve(running: Stack) -> Person:
    return person(running)


def test_claude_asks_and_goes_on() -> None:
    with with_claude(WRITES, WRITES, DONE) as running:
        job = given(running, "Write it.")
        for count in (1, 2):
            eve(running).approve(job, awaited(job, ApprovalWanted, 40, count=count).approval_id)

        job.succeeded()

        assert (committed(job, "ran.txt") or "").split() == ["once", "once"]
        assert len(of(job, CallAnswered)) == 2


def test_claude_is_put_aside_and_repeats_what_was_allowed() -> None:
    with with_claude(*PUT_ASIDE, TRUNKLINE_HOLD_PROCESS_S="0.5") as running:
        job = given(running, "Write it.")
        name = awaited(job, ApprovalWanted, 40).approval_id
        awaited(job, RunParked)
        eve(running).approve(job, name)

        job.succeeded()

        assert (committed(job, "ran.txt") or "").split() == ["once"]
        assert [one.sitting for one in of(job, CallAnswered)] == [1, 2]


def test_claude_waits_at_the_door_when_its_budget_is_used_up() -> None:
    with with_claude(WRITES, DONE, TRUNKLINE_BUDGET_USD="0.0000001", TRUNKLINE_TOOL_RULES="[]") as running:
        job = given(running, "Write it.")
        wanted = awaited(job, ApprovalWanted, 40)
        assert wanted.kind == "budget"
        eve(running).approve(job, wanted.approval_id, usd=100)

        job.succeeded()

        assert [one.usd for one in of(job, BudgetRaised)] == [100]
        assert [one.why for one in of(job, RunWaits)] == [Wait.BUDGET]
