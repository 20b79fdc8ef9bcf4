"""Speaking to an agent while it works: messages in their order, interruption, pause and resume, and an end when nobody says more."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.flows.jobs import until
from tests.flows.talkers import Person, awaited, committed, environment, given, of, person
from trunkline.contracts.run import AgentInterrupted, ApprovalWanted, RunGoesOn, RunParked, RunWaits, Wait
from trunkline.contracts.steering import InboxClosed, MessageTaken
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

WORKS = """
def on_message(text):
    say("you said: " + text)
    os.system(text)
say("at work")
open("done.txt", "w").write("done")
time.sleep(1.5)
"""
COUNTS = """
def on_message(text): say("you said: " + text)
open("done.txt", "w").write("done")
for n in range(80):
    say("count %d" % n)
    time.sleep(0.05)
"""
WAITS_FOR_A_WORD = """
def on_message(text): say("you said: " + text)
open("done.txt", "w").write("done")
say("at work")
ask("c1", "touch never")
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(environment(TRUNKLINE_HOLD_PROCESS_S="3")) as running:
        yield running


@pytest.fixture
def ada(running: Stack) -> Person:
    return person(running, "ada", "agent")


def test_messages_are_heard_in_their_order_and_then_the_agent_goes(running: Stack, ada: Person) -> None:
    job = given(running, WORKS)
    job.await_said("at work")

    for n in range(3):
        ada.say(job, f"echo {n} >> ran.txt")

    job.succeeded()
    assert (committed(job, "ran.txt") or "").split() == ["0", "1", "2"]
    assert len(of(job, MessageTaken)) == 3
    assert len(of(job, InboxClosed)) == 1


@pytest.mark.kill
def test_a_message_that_was_taken_when_everything_dies_is_heard_once(running: Stack, ada: Person) -> None:
    running.await_ready()
    running.arm("message_taken.after_record")
    job = given(running, WORKS)
    job.await_said("at work")

    ada.say(job, "echo 0 >> ran.txt")
    until(lambda: not running.armed("message_taken.after_record"), 20, "nobody took it")

    job.succeeded()
    assert (committed(job, "ran.txt") or "").split() == ["0"]


def test_a_paused_agent_stands_still_and_goes_on_when_resumed(running: Stack, ada: Person) -> None:
    job = given(running, COUNTS)
    job.await_said("count 3")

    ada.tell(job, "pause")
    awaited(job, RunWaits)
    assert job.stands("count ") < 80, "it went on though it was paused"
    ada.tell(job, "resume")

    job.succeeded()
    assert job.said.count("count ") == 80
    assert [one.why for one in of(job, RunWaits)] == [Wait.PAUSED]
    assert len(of(job, RunGoesOn)) == 1


@pytest.mark.kill
def test_a_pause_and_its_end_survive_a_kill(running: Stack, ada: Person) -> None:
    job = given(running, COUNTS)
    job.await_said("count 3")
    ada.tell(job, "pause")
    awaited(job, RunWaits)

    running.kill("sandbox")
    running.await_ready()
    assert job.stands("count ") < 80
    ada.tell(job, "resume")

    job.succeeded()
    assert [f"count {n}" in job.said for n in (0, 79)] == [True, True]


def test_an_agent_that_is_paused_for_long_is_put_aside(running: Stack, ada: Person) -> None:
    job = given(running, COUNTS)
    job.await_said("count 3")

    ada.tell(job, "pause")
    assert awaited(job, RunParked).why is Wait.PAUSED
    ada.say(job, "touch said.txt")
    time.sleep(0.5)
    assert "you said" not in job.said
    ada.tell(job, "resume")

    job.succeeded()
    assert "you said: touch said.txt" in job.said


def test_an_interrupted_agent_waits_to_be_spoken_to(running: Stack, ada: Person) -> None:
    job = given(running, WAITS_FOR_A_WORD)
    name = awaited(job, ApprovalWanted).approval_id

    began = time.monotonic()
    ada.tell(job, "interrupt")
    awaited(job, AgentInterrupted)
    print(f"interrupted within {time.monotonic() - began:.2f} s")
    job.await_said("interrupted")
    assert ada.ask("GET", f"/approvals/{ada.approval(job, name)}")[1].get("approval", {}).get("status") != "pending"
    ada.say(job, "do something else")

    job.succeeded()
    assert "you said: do something else" in job.said
    assert committed(job, "never") is None


@pytest.mark.kill
def test_an_interrupted_agent_rests_though_its_carrier_dies(running: Stack, ada: Person) -> None:
    job = given(running, WAITS_FOR_A_WORD)
    awaited(job, ApprovalWanted)
    ada.tell(job, "interrupt")
    awaited(job, AgentInterrupted)

    running.kill("sandbox")
    running.await_ready()
    time.sleep(1.0)
    assert of(job, InboxClosed) == [], "it was sent home"
    ada.say(job, "do something else")

    job.succeeded()
    assert "you said: do something else" in job.said


def test_a_message_to_an_agent_that_waits_for_a_yes_arrives_after_it(running: Stack, ada: Person) -> None:
    job = given(running, WAITS_FOR_A_WORD)
    name = awaited(job, ApprovalWanted).approval_id
    ada.say(job, "hello")
    time.sleep(0.5)
    assert of(job, MessageTaken) == []

    person(running).approve(job, name)

    job.succeeded()
    assert "you said: hello" in job.said
