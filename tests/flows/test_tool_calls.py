"""A call that needs a yes: asked, decided by people over the API, told to the agent, and run exactly as it was decided."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests import campaigns
from tests.flows.talkers import ASKS_ONCE, Person, awaited, committed, environment, given, of, person
from trunkline.contracts.run import ApprovalWanted, CallAnswered, CallVerdict, RuleGranted, RunGoesOn, RunWaits
from trunkline.testing.stack import Stack, stack
from trunkline_sandbox.model import Ask
from trunkline_sandbox.model.asking import call_name

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

A_DOZEN = """
for n in range(12):
    out(type="permission_request", id="c%d" % n, tool="Shell", input={"command": "true %d" % n})
    say("heard %d %s" % (n, await_word("c%d" % n)["verdict"]))
    out(type="tool_result", id="c%d" % n, output="")
open("done.txt", "w").write("done")
"""
TOUCHES = ("touch a", "touch b", "touch c", "touch d; true")
"""The last is more than what the rule allows."""
SOON = json.dumps([{"name": "soon", "match": {"kinds": ["tool_call"]}, "first": {"expires_s": 2}}])


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(environment()) as running:
        yield running


@pytest.fixture
def eve(running: Stack) -> Person:
    return person(running)


def test_a_call_waits_for_a_yes_and_runs_once(running: Stack, eve: Person) -> None:
    job = given(running, ASKS_ONCE)
    wanted = awaited(job, ApprovalWanted)

    seen = eve.sees(job, wanted.approval_id)
    assert (seen["kind"], seen["digest"], seen["about"]["input"]) == ("tool_call", wanted.digest, {"command": "echo once >> ran.txt"})
    assert "went on" not in job.said
    eve.approve(job, wanted.approval_id, digest=wanted.digest)

    job.succeeded()
    assert committed(job, "ran.txt") == "once"
    [answered] = of(job, CallAnswered)
    assert (answered.verdict, answered.by, answered.digest) == (CallVerdict.ALLOWED, "eve", wanted.digest)
    assert (len(of(job, RunWaits)), len(of(job, RunGoesOn))) == (1, 1)


def test_a_refusal_and_its_reason_reach_the_agent(running: Stack, eve: Person) -> None:
    job = given(running, ASKS_ONCE)
    eve.reject(job, awaited(job, ApprovalWanted).approval_id, reason="not on a Friday")

    job.succeeded()

    assert "refused: not on a Friday" in job.said
    assert committed(job, "ran.txt") is None
    assert [answered.verdict for answered in of(job, CallAnswered)] == [CallVerdict.DENIED]


def test_a_rewritten_input_runs_instead_of_what_was_asked(running: Stack, eve: Person) -> None:
    job = given(running, ASKS_ONCE)
    wanted = awaited(job, ApprovalWanted)
    eve.approve(job, wanted.approval_id, input={"command": "echo other >> ran.txt"})

    job.succeeded()

    assert committed(job, "ran.txt") == "other"
    [answered] = of(job, CallAnswered)
    assert answered.digest != wanted.digest


def test_a_yes_for_the_run_by_rule_asks_no_more_for_what_the_rule_fits(running: Stack, eve: Person) -> None:
    job = given(running, "".join(f'ask("c{n}", "{command}")\n' for n, command in enumerate(TOUCHES)))
    eve.approve(job, awaited(job, ApprovalWanted).approval_id, scope="run", rule={"tool": "Shell", "argument": "touch *"})
    eve.reject(job, awaited(job, ApprovalWanted, count=2).approval_id)

    job.succeeded()

    assert len(of(job, RuleGranted)) == 1
    assert [wanted.about["argument"] for wanted in of(job, ApprovalWanted)] == [TOUCHES[0], TOUCHES[3]]
    assert [committed(job, name) is not None for name in "abcd"] == [True, True, True, False]


def test_what_a_rule_denies_is_denied_at_once_and_said(running: Stack) -> None:
    job = given(running, 'ask("c1", "echo 1 >> ran.txt", tool="Evil")\nopen("done.txt", "w").write("done")\n')

    job.succeeded()

    assert "refused: never here" in job.said
    assert "Denied by rule: Evil" in job.said
    assert of(job, ApprovalWanted) == []


def test_an_agent_that_ends_takes_its_question_with_it(running: Stack, eve: Person) -> None:
    asks = 'out(type="permission_request", id="c1", tool="Shell", input={"command": "x"})\ntime.sleep(0.5)\n'
    job = given(running, 'open("done.txt", "w").write("done")\n' + asks)
    wanted = awaited(job, ApprovalWanted)

    job.succeeded()

    assert [answered.verdict for answered in of(job, CallAnswered)] == [CallVerdict.WITHDRAWN]
    assert eve.ask("POST", f"/approvals/{eve.approval(job, wanted.approval_id)}/approve", {})[0] in (404, 409)


KILLS = [
    *((f"asked.{side}", "self") for side in ("before_effect", "after_record")),
    *((f"answered.{side}", "self") for side in ("before_effect", "after_record", "after_effect")),
    *((point, victim) for point in ("asked.after_record", "answered.after_record") for victim in ("nats-server", "approvals", "router")),
]
"""Every second one does for each change: each moment, and each victim, is among them."""


@pytest.mark.kill
@pytest.mark.parametrize(("point", "victim"), KILLS if campaigns.KILLS else KILLS[::2])
def test_whatever_is_killed_the_call_runs_once(running: Stack, eve: Person, point: str, victim: str) -> None:
    running.await_ready()
    running.arm(point, victim)
    job = given(running, ASKS_ONCE)

    eve.patiently_approve(job, awaited(job, ApprovalWanted, 30).approval_id)

    job.succeeded()
    assert not running.armed(point)
    assert committed(job, "ran.txt") == "once"
    assert (len(of(job, ApprovalWanted)), len(of(job, CallAnswered))) == (1, 1)


def test_a_dozen_calls_one_after_the_other_are_each_answered_once(running: Stack, eve: Person) -> None:
    """How long that takes is a row of the bench."""
    job = given(running, A_DOZEN)
    for n in range(12):
        eve.approve(job, call_name(1, 1, Ask(f"c{n}", "Shell", {}, "")))

    job.succeeded()

    assert [line for line in job.said.splitlines() if line.startswith("heard")] == [f"heard {n} allow" for n in range(12)]
    assert [answered.verdict for answered in of(job, CallAnswered)] == [CallVerdict.ALLOWED] * 12


def test_nobody_in_time_is_told_as_nobody_in_time() -> None:
    with stack(environment(TRUNKLINE_APPROVAL_POLICIES=SOON), "--log-level", "warning") as running:
        job = given(running, ASKS_ONCE)
        job.succeeded()

        assert "this is not a refusal" in job.said
        assert [answered.verdict for answered in of(job, CallAnswered)] == [CallVerdict.TIMED_OUT]
