"""A run that is paused for long does no work, holds no hand, and goes on where it stood, whether its agent can be resumed or not."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from tests import campaigns
from tests.flows.jobs import ACTING, Job, submit, until
from tests.flows.talkers import Person, awaited, environment, given, of, person
from trunkline.contracts.run import AgentStarted, RunFailed, RunGoesOn, RunParked, RunWaits, RunWoken, Wait
from trunkline.testing.repositories import git, make_bare
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(150)]

TICKS = """
import os, time
while not os.path.exists("enough"):
    with open("ticks", "a") as file: file.write(f"{os.getpid()}\\n")
    time.sleep(0.02)
"""
"""Works until somebody says that it is enough, and writes down each of its steps and who made it."""
PLAIN = 'open("done.txt", "w").write("done")\n'


MOMENTS = ["parked.before_effect", "parked.after_record", "woken.before_effect", "woken.after_record"]


@dataclass(frozen=True)
class Work:
    """A job that ticks, as it stands on disk."""

    job: Job

    @property
    def place(self) -> Path:
        return self.job.stack.folder / "data" / "sandbox" / "boxes" / f"{UUID(self.job.id).hex}-1" / "box" / "workspace"

    @property
    def ticks(self) -> int:
        ticks = self.place / "ticks"
        return len(ticks.read_text().splitlines()) if ticks.exists() else 0

    def enough(self) -> None:
        path = self.place / "enough"
        path.touch()
        os.chown(path, (owner := self.place.stat()).st_uid, owner.st_gid)


def begun(stack: Stack) -> Work:
    """It has worked for a while."""
    stack.await_ready()
    repo = f"acme/paused-{secrets.token_hex(6)}"
    make_bare(stack.forge, repo, {"README.md": "sample\n"})
    work = Work(submit(stack, repo, TICKS))
    until(lambda: work.ticks > 5, 30, "it never worked")
    return work


def paused(work: Work, eve: Person) -> int:
    """Put aside; how often it had ticked when it stood still."""
    eve.tell(work.job, "pause")
    waits = awaited(work.job, RunWaits)  # said when it stands still
    stood = work.ticks
    assert waits.why is Wait.PAUSED
    awaited(work.job, RunParked)
    return stood


@pytest.fixture(scope="module")
def talking() -> Iterator[Stack]:
    with stack(environment(TRUNKLINE_HOLD_PROCESS_S="0.5", TRUNKLINE_RUNS="1")) as running:
        yield running


@pytest.fixture(scope="module")
def deaf() -> Iterator[Stack]:
    """An agent that cannot be resumed, and one hand."""
    more = {"TRUNKLINE_AGENT_COMMAND": ACTING, "TRUNKLINE_AGENT_COMMAND_DUPLEX": "false", "TRUNKLINE_TOOL_RULES": "[]"}
    with stack(environment(TRUNKLINE_HOLD_PROCESS_S="0.5", TRUNKLINE_RUNS="1", TRUNKLINE_STANDING_RUNS="1", **more)) as running:
        yield running


def test_an_agent_that_is_put_aside_while_it_is_paused_does_not_work_once_more(talking: Stack) -> None:
    work = begun(talking)
    stood = paused(work, person(talking, role="admin"))
    assert work.ticks == stood
    assert work.job.cancel()[0] == 202
    work.job.end()


@pytest.mark.skipif(not campaigns.LONG, reason="half a minute of waiting; `make campaigns` does it")
def test_a_pause_that_came_before_the_agent_began_is_not_worked_through(talking: Stack) -> None:
    eve, work = person(talking, role="admin"), begun(talking)
    paused(work, eve)
    other = given(talking, "import time\nwhile True: time.sleep(1)\n")  # holds the one hand
    awaited(other, AgentStarted)
    eve.tell(work.job, "resume")
    waits = awaited(work.job, RunWaits, seconds=60, count=2)
    assert waits.why is Wait.PLACE
    assert other.cancel()[0] == 202
    awaited(work.job, RunWoken)
    work.enough()
    awaited(work.job, RunGoesOn)
    work.job.succeeded()


def test_an_agent_that_cannot_be_resumed_stands_still_with_its_hand_free_and_goes_on_where_it_stood(deaf: Stack) -> None:
    eve, work = person(deaf, role="admin"), begun(deaf)
    stood = paused(work, eve)
    repo = f"acme/other-{secrets.token_hex(6)}"
    make_bare(deaf.forge, repo, {"README.md": "sample\n"})
    submit(deaf, repo, PLAIN).succeeded()
    assert work.ticks == stood

    eve.tell(work.job, "resume")
    until(lambda: work.ticks > stood, 30, "it does not go on")
    work.enough()
    branch = work.job.succeeded()["fixBranch"]

    ticks = git(work.job.bare, "show", f"{branch}:ticks").split()
    assert len(set(ticks)) == 1, "it is the same program"
    assert len(of(work.job, AgentStarted)) == 1
    assert [(one.kept, one.why) for one in of(work.job, RunParked)] == [(True, Wait.PAUSED)]


def test_one_more_than_may_stand_still_keeps_its_hand(deaf: Stack) -> None:
    eve, first = person(deaf, role="admin"), begun(deaf)
    paused(first, eve)
    second = begun(deaf)
    eve.tell(second.job, "pause")
    awaited(second.job, RunWaits)
    time.sleep(2)
    assert of(second.job, RunParked) == []
    for work in (second, first):
        assert work.job.cancel()[0] == 202
        work.job.end()


def test_a_run_that_stands_still_is_cancelled_and_leaves_nothing(deaf: Stack) -> None:
    work = begun(deaf)
    paused(work, person(deaf, role="admin"))
    assert work.job.cancel("enough")[0] == 202
    work.job.failed("CANCELLED")
    until(lambda: not work.place.exists(), 10, "the sandbox stays")


@pytest.mark.kill
@pytest.mark.parametrize("moment", MOMENTS if campaigns.KILLS else MOMENTS[1:3])
def test_whatever_is_killed_the_same_program_goes_on(deaf: Stack, moment: str) -> None:
    eve, work = person(deaf, role="admin"), begun(deaf)
    deaf.arm(moment, "self")
    stood = paused(work, eve)
    until(lambda: restarted(deaf), 30, "the service did not come back")
    deaf.await_ready()
    assert work.ticks == stood
    until(lambda: resumed(work.job, eve), 20)
    until(lambda: work.ticks > stood, 60, "it does not go on")
    work.enough()
    work.job.succeeded()
    assert len(of(work.job, AgentStarted)) == 1
    assert of(work.job, RunFailed) == []
    assert not deaf.armed(moment)


def restarted(stack: Stack) -> bool:
    """Killed by hand, unless it was killed a moment ago and is not back yet."""
    try:
        stack.kill("sandbox")
    except LookupError:
        return False
    return True


def resumed(job: Job, eve: Person) -> bool:
    return eve.ask("POST", f"/tasks/task_{UUID(job.id).hex}/resume", {})[0] == 202
