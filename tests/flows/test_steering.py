"""Steering the whole product: an agent that is spoken to hears what people say, in their order, while it works, rests and is paused."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from tests.flows.jobs import Job, facts, records, submit, until
from tests.flows.test_cli import Person
from trunkline.contracts.message import Fact
from trunkline.contracts.run import AgentInterrupted, AgentStarted, RunGoesOn, RunWaits
from trunkline.contracts.steering import MOST_TEXT, InboxClosed, MessageDelivered, MessageQueued, MessageTaken, RunSteered
from trunkline.testing.repositories import git, make_bare
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(180)]

AGENT = r"""
import json, sys, threading, time
def say(**line):
    sys.stdout.write(json.dumps(line) + chr(10))  # in one piece: the ticks come from another thread
    sys.stdout.flush()
def heard(text):
    with open('told.txt', 'a') as file: file.write(text[:200] + chr(10))
def tick():
    n = 0
    while True:
        n += 1
        say(type='message', text='tick %d' % n)
        time.sleep(0.1)
for line in sys.stdin:
    told = json.loads(line)
    if told['type'] == 'task':
        say(type='session', id='s-1')
        heard('task')
        if 'tick' in told['text']: threading.Thread(target=tick, daemon=True).start()
        if 'wait' not in told['text']: say(type='turn_over', summary='done')
    elif told['type'] == 'message':
        say(type='heard', id=told['id'])
        heard(told['text'])
        say(type='message', text='told %d: %s' % (len(told['text'].encode()), told['text'][:60]))
        if 'done' in told['text']: say(type='turn_over', summary='done')
    elif told['type'] == 'interrupt':
        say(type='message', text='interrupted')
        say(type='turn_over', summary='interrupted')
"""
ENVIRONMENT = {
    "TRUNKLINE_AGENT": "command",
    "TRUNKLINE_AGENT_COMMAND": f"python3 -c {shlex.quote(AGENT)}",
    "TRUNKLINE_AGENT_COMMAND_DUPLEX": "true",
}


@dataclass(frozen=True)
class Run:
    """A job of the duplex agent, and whoever sits at the machine."""

    job: Job
    person: Person

    @property
    def path(self) -> str:
        return f"{self.job.stack.url}/tasks/{UUID(self.job.id).hex}"

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        key = (self.job.stack.folder / "data" / "operator.key").read_text().strip()
        answer = requests.request(method, f"{self.path}{path}", json=body, headers={"X-API-Key": key}, timeout=30)
        return answer.status_code, answer.json()

    def say(self, text: str) -> str:
        status, said = self.ask("POST", "/messages", {"text": text})
        assert status == 202, said
        return str(said["message_id"])

    def facts(self, *kinds: type[Fact]) -> list[Fact]:
        return [fact for fact in facts(self.job.stack, self.job.id) if isinstance(fact, kinds)]

    def between(self, one: type[Fact], other: type[Fact]) -> float:
        """Milliseconds from a fact to another, as their records say."""
        moments = {type(fact): record.at for record in records(self.job.stack, self.job.id) for fact in record.facts}
        return (moments[other] - moments[one]).total_seconds() * 1000

    def told(self) -> list[str]:
        """What the agent wrote down of what it heard, as it stands in the pull request."""
        branch = self.job.succeeded()["fixBranch"]
        return git(self.job.bare, "show", f"{branch}:told.txt").splitlines()


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(ENVIRONMENT) as running:
        yield running


@pytest.fixture
def begin(running: Stack) -> Any:
    def begun(task: str) -> Run:
        repo = f"acme/r{uuid4().hex[:8]}"
        make_bare(running.forge, repo, {"README.md": "A repository."})
        run = Run(submit(running, repo, task), Person(running))
        until(lambda: run.facts(AgentStarted), 30, "the agent did not start")
        return run

    return begun


def test_what_is_said_reaches_the_agent_while_it_works_and_the_timeline_has_every_receipt(begin: Any) -> None:
    run = begin("wait for what you are told")
    first = run.say("one")
    run.job.await_said("told 3: one")
    run.say("done")
    assert run.told() == ["task", "one", "done"]
    receipts = [(type(fact), fact.message_id) for fact in run.facts(MessageQueued, MessageDelivered, MessageTaken)]
    assert receipts[:3] == [(MessageQueued, first), (MessageDelivered, first), (MessageTaken, first)]
    assert run.facts(InboxClosed) == [InboxClosed(attempt=1)]
    assert run.ask("POST", "/messages", {"text": "too late"})[0] == 409
    assert [one["state"] for one in run.ask("GET", "/messages")[1]["messages"]] == ["taken", "taken"]


def test_a_paused_run_stands_still_and_hears_in_the_order_that_people_gave_once_it_is_resumed(begin: Any) -> None:
    run = begin("tick and wait")
    run.job.await_said("tick 3")
    assert run.ask("POST", "/pause")[0] == 202
    until(lambda: run.facts(RunWaits), 20, "it did not pause")
    ids = {word: run.say(word) for word in ("done", "never", "second", "third")}
    assert run.ask("PATCH", f"/messages/{ids['third']}", {"text": "first"})[0] == 200
    assert run.ask("DELETE", f"/messages/{ids['never']}")[0] == 200
    assert run.ask("PUT", "/messages/order", {"message_ids": [ids["third"], ids["second"], ids["done"]]})[0] == 200
    run.job.stands("tick")  # what is paused and goes on never does
    assert run.facts(MessageTaken) == []
    assert run.ask("POST", "/resume")[0] == 202
    assert run.told() == ["task", "first", "second", "done"]
    assert len(run.facts(RunWaits)) == len(run.facts(RunGoesOn)) == 1


def test_an_interrupt_ends_the_turn_within_a_moment_and_the_run_rests_until_it_is_spoken_to(begin: Any) -> None:
    took = []
    for _ in range(3):
        run = begin("wait for what you are told")
        time.sleep(0.5)
        assert run.ask("POST", "/interrupt")[0] == 202
        until(lambda run=run: run.facts(AgentInterrupted), 20, "it was not interrupted")
        took.append(run.between(RunSteered, AgentInterrupted))
        run.job.await_said("interrupted")
        run.say("done")
        assert run.told() == ["task", "done"]
    print(f"from the wish to what the timeline says of it: {', '.join(f'{each:.0f} ms' for each in took)}")
    assert min(took) < 2_000, "it was found by looking again, not told"


@pytest.mark.kill
@pytest.mark.parametrize("side", ["after_effect", "after_record"])
def test_an_interrupted_agent_is_told_once_to_go_on_when_it_is_resumed(begin: Any, side: str) -> None:
    run = begin("wait for what you are told")
    assert run.ask("POST", "/interrupt")[0] == 202
    until(lambda: run.facts(AgentInterrupted), 20, "it was not interrupted")
    run.job.await_said("interrupted")
    run.job.stack.arm(f"rested.{side}")
    assert run.ask("POST", "/resume")[0] == 202
    until(lambda: run.facts(RunGoesOn), 30, "it rests still")
    run.job.await_said("Go on where you stopped.")
    run.say("done")
    assert run.told() == ["task", "Go on where you stopped.", "done"]
    assert not run.job.stack.armed(f"rested.{side}")


def test_a_message_of_the_most_text_reaches_the_agent_whole(begin: Any) -> None:
    run = begin("wait for what you are told")
    run.say("x" * MOST_TEXT)
    run.job.await_said(f"told {MOST_TEXT}: xxx")
    assert run.ask("POST", "/messages", {"text": "x" * (MOST_TEXT + 1)})[0] == 400
    run.say("done")
    assert run.told()[0::2] == ["task", "done"]


@pytest.mark.kill
def test_no_message_is_lost_doubled_or_moved_when_the_sandbox_service_is_killed(begin: Any) -> None:
    run = begin("wait for what you are told")
    run.job.stack.arm("message_taken.after_record")
    words = [f"word {number}" for number in range(6)]
    for number, word in enumerate(words):
        run.say(word)
        if number == 3:
            run.job.stack.kill("sandbox")
    run.say("done")
    assert run.told() == ["task", *words, "done"]
    assert not run.job.stack.armed("message_taken.after_record")
    assert len(run.facts(MessageTaken)) == len(words) + 1


def test_an_agent_is_steered_from_a_terminal(begin: Any) -> None:
    run = begin("wait for what you are told")
    task = f"task_{UUID(run.job.id).hex}"
    assert run.person.types("pause", task)[0] == 0
    until(lambda: run.facts(RunWaits), 20)
    first = run.person.reads("send", task, "first")["message_id"]
    code, out, _ = run.person.types("send", task, "done")
    assert code == 0
    assert run.person.types("messages", "move", task, out.splitlines()[0], "first")[0] == 0
    assert [one["text"] for one in run.person.reads("messages", task)["messages"]] == ["done", "first"]
    assert run.person.types("messages", "edit", task, first, "changed")[0] == 0
    assert run.person.types("messages", "withdraw", task, first)[0] == 0
    code, out, err = run.person.types("messages", task)
    states = [line.split("\t")[1] for line in out.splitlines()]
    assert code == 0 and "paused" in err
    assert states[0] in ("queued", "delivered") and states[1:] == ["withdrawn"]
    assert run.person.types("resume", task)[0] == 0
    assert run.told() == ["task", "done"]
    assert run.person.types("send", task, "too late")[0] == 2
    code, out, _ = run.person.types("watch", task)
    assert code == 0 and "changed" in out and "the agent has the message" in out
