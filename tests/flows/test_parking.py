"""A run that waits for long holds neither a process nor a hand: it is put aside, survives everything, and goes on when it may."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from itertools import cycle
from uuid import UUID

import pytest

from tests import campaigns
from tests.flows.jobs import Job, bus_settings, living, until
from tests.flows.looking import look
from tests.flows.talkers import ASKS_ONCE, Person, awaited, committed, environment, given, of, person
from trunkline.auth.principal import HOME
from trunkline.contracts.run import ApprovalWanted, CallAnswered, CallVerdict, RunParked, RunWoken, Wait
from trunkline.contracts.task import Assignment, SubmitTask, TaskGoesOn, TaskStopRequested, TaskSucceeded, TaskWaits
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(150)]

PLAIN = 'open("done.txt", "w").write("done")\n'


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(environment(TRUNKLINE_HOLD_PROCESS_S="0.5", TRUNKLINE_RUNS="1")) as running:
        yield running


@pytest.fixture
def eve(running: Stack) -> Person:
    return person(running)


def parked(running: Stack, code: str = ASKS_ONCE, **fields: object) -> tuple[Job, str, str]:
    """A job that is put aside, the approval that it waits for, and the word by which its processes are known."""
    mark = f"mark-{secrets.token_hex(6)}"
    child = f'import subprocess\nsubprocess.Popen(["python3", "-c", "import time; time.sleep(600)", "{mark}"])\n'
    job = given(running, child + code, **fields)
    until(lambda: living(mark), 30, "it never ran", fleeting=True)
    name = awaited(job, ApprovalWanted).approval_id
    awaited(job, RunParked)
    return job, name, mark


def test_a_parked_run_has_no_process_and_holds_no_hand_and_goes_on_when_it_is_approved(running: Stack, eve: Person) -> None:
    job, name, mark = parked(running)
    assert living(mark) == []

    given(running, PLAIN).succeeded()  # though there is one hand only

    began = time.monotonic()
    eve.approve(job, name)
    awaited(job, RunWoken)
    print(f"woken {time.monotonic() - began:.2f} s after the decision")
    job.succeeded()
    assert committed(job, "ran.txt") == "once"
    assert "make exactly the same call again" in job.said
    assert [one.sitting for one in of(job, CallAnswered)] == [1, 2]
    assert [one.why for one in of(job, RunParked)] == [Wait.TOOL_CALL]


def test_what_was_refused_meanwhile_is_told_and_does_not_run(running: Stack, eve: Person) -> None:
    job, name, _ = parked(running, 'if not resumed: ask("c1", "echo once >> ran.txt")\n' + PLAIN)
    eve.reject(job, name, reason="too late at night")

    job.succeeded()

    assert "denied: too late at night" in job.said
    assert committed(job, "ran.txt") is None
    assert [one.verdict for one in of(job, CallAnswered)] == [CallVerdict.DENIED]


def test_a_yes_after_the_park_is_for_one_call_of_exactly_that_input(running: Stack, eve: Person) -> None:
    code = 'ask("c1", "echo %s >> ran.txt" % ("other" if resumed else "once"))\n' + PLAIN
    job, name, _ = parked(running, code)
    eve.approve(job, name)
    another = awaited(job, ApprovalWanted, count=2)
    assert another.about["argument"] == "echo other >> ran.txt"
    awaited(job, RunParked, count=2)
    eve.reject(job, another.approval_id)
    third = awaited(job, ApprovalWanted, count=3)
    eve.reject(job, third.approval_id)
    until(lambda: job.cancel()[0] == 202, 20)
    job.end()


def test_a_parked_run_survives_the_restart_of_everything(running: Stack, eve: Person) -> None:
    job, name, _ = parked(running)
    for service in ("sandbox", "approvals", "router", "nats-server", "relay", "gateway"):
        running.kill(service)
    time.sleep(0.5)
    running.await_ready()
    until(lambda: eve.ask("GET", f"/approvals/{eve.approval(job, name)}")[0] == 200, 20)

    began = time.monotonic()
    eve.approve(job, name)
    job.succeeded()

    print(f"done {time.monotonic() - began:.2f} s after the decision")
    assert committed(job, "ran.txt") == "once"


def test_a_parked_run_is_cancelled_and_leaves_nothing(running: Stack, eve: Person) -> None:
    job, name, _ = parked(running)

    began = time.monotonic()
    assert job.cancel("no longer wanted")[0] == 202
    assert job.failed("CANCELLED")["error"] == "Cancelled: no longer wanted"

    print(f"cancelled within {time.monotonic() - began:.2f} s")
    boxes = running.folder / "data" / "sandbox" / "boxes"
    until(lambda: not [box for box in boxes.iterdir() if not box.name.startswith(".")], 20, "the sandbox stays")
    assert eve.ask("POST", f"/approvals/{eve.approval(job, name)}/approve", {})[0] in (404, 409)


def test_the_deadline_stands_still_while_people_think(running: Stack, eve: Person) -> None:
    job = with_deadline(running, ASKS_ONCE, 4.0)
    name = awaited(job, ApprovalWanted).approval_id
    awaited(job, TaskWaits)

    time.sleep(5.0)
    eve.approve(job, name)

    awaited(job, TaskSucceeded)
    assert of(job, TaskGoesOn)
    assert of(job, TaskStopRequested) == []


def with_deadline(running: Stack, code: str, seconds: float) -> Job:
    """Submitted past the surfaces: none takes so short a deadline."""
    running.await_ready()
    repo, task = f"acme/late-{secrets.token_hex(6)}", new_id()
    make_bare(running.forge, repo, {"README.md": "sample\n"})
    asked = Assignment(repo=repo, prompt=code, deadline_s=seconds)
    wish = SubmitTask(tenant=HOME, at=now(), task_id=task, submitted_by="ada", assignment=asked)
    look(bus_settings(running), lambda bus: bus.commands.send("router", task, wish))
    return Job(running, repo, str(UUID(task)))


MOMENTS = [
    *(("asked", side) for side in ("before_effect", "after_record")),
    *(("answered", side) for side in ("before_effect", "after_record")),
    *((moment, side) for moment in ("parked", "woken") for side in ("before_effect", "after_effect", "after_record")),
]


SIDES = ("before_effect", "after_record", "after_effect")


def kills() -> list[tuple[str, str, str]]:
    """(moment, side, victim): everybody at each side; else at each moment whoever passes it, at one side in turns, and somebody else."""
    others = ("approvals", "nats-server", "router")
    if campaigns.KILLS:
        return [(moment, side, victim) for moment, side in MOMENTS for victim in ("self", *others)]
    moments = list(dict(MOMENTS))
    return [
        *((moment, side, "self") for moment, side in zip(moments, cycle(SIDES), strict=False)),
        *((moment, "after_record", victim) for moment, victim in zip(moments, cycle(others), strict=False)),
    ]


@pytest.mark.kill
@pytest.mark.parametrize(("moment", "side", "victim"), kills())
def test_whatever_is_killed_the_call_runs_once(running: Stack, eve: Person, moment: str, side: str, victim: str) -> None:
    running.await_ready()
    running.arm(f"{moment}.{side}", victim)

    job, name, mark = parked(running)
    eve.patiently_approve(job, name)
    job.succeeded()

    until(lambda: not running.armed(f"{moment}.{side}"), 20, "the fault point was never passed")
    assert committed(job, "ran.txt") == "once"
    assert len(of(job, ApprovalWanted)) == 1
    assert living(mark) == []
