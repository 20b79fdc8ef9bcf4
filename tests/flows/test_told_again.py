"""The real Codex and opencode are told something while a tool runs, then interrupted: the model has it once, whoever carries the run."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from tests.flows.talkers import awaited, committed, environment, given, of, person
from tests.flows.test_codex_opencode_go_on import AGENTS, DONE, KEY, Spoken, model
from trunkline.contracts.run import AgentInterrupted, RunGoesOn
from trunkline.contracts.steering import MessageTaken
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(400)]

SAID = "Mind the gap, heron."


def in_parts(agent: Spoken, url: str) -> AbstractContextManager[Stack]:
    """Each service on its own, so that one of them can be killed."""
    named = {"TRUNKLINE_AGENT": agent.name, f"TRUNKLINE_{agent.name.upper()}_PATH": str(agent.program), "TRUNKLINE_TOOL_RULES": "[]"}
    return stack(environment(**named, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=url), "--split", "--log-level", "info")


@pytest.mark.kill
@pytest.mark.parametrize("killed", ["", "rested.after_effect"], ids=["carried_by_one", "taken_over"])
@pytest.mark.parametrize("agent", AGENTS)
def test_what_was_said_before_an_interrupt_reaches_the_model_once(agent: Spoken, killed: str) -> None:
    slow, edit = (agent.shell("echo begun > begun.txt; sleep 600; echo late > late.txt"),), (agent.shell("echo one > made.txt"),)
    with model((slow, edit, DONE, DONE, DONE)) as scripted, in_parts(agent, scripted.url) as running:
        ada = person(running, "ada", "agent")
        job = given(running, "Write it.")
        job.await_said("sleep 600", 60)
        ada.say(job, SAID)
        awaited(job, MessageTaken)
        ada.tell(job, "interrupt")
        awaited(job, AgentInterrupted)
        if killed:
            running.arm(killed)
        ada.tell(job, "resume")
        awaited(job, RunGoesOn, 60)
        job.succeeded()

        heard = scripted.conversations()[-1]
        assert heard.count(SAID) == 1, heard
        assert heard.count("Go on where you stopped.") == 1
        assert (committed(job, "made.txt"), committed(job, "late.txt")) == ("one", None)
        assert len(of(job, RunGoesOn)) == 1
        assert not killed or not running.armed(killed)
