"""Cancelling a job at every moment of its life, and what ends or repeats a job without anybody's wish."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from uuid import uuid4

import psutil
import pytest

from tests.flows.jobs import ACTING, WORK, Job, facts, living, submit, until
from trunkline.contracts.task import TaskAssigned, TaskRetryScheduled
from trunkline.testing.repositories import git, make_bare
from trunkline.testing.stack import Stack, stack
from trunkline_sandbox.adapters.providers.local.locks import locked

pytestmark = [pytest.mark.flow, pytest.mark.timeout(90)]

ENVIRONMENT = {"TRUNKLINE_AGENT": "command", "TRUNKLINE_AGENT_COMMAND": ACTING, "TRUNKLINE_RUNS": "1"}
LONG = "import time\nprint('at work', flush=True)\nfor n in range(300): time.sleep(0.1)\nopen('done.txt', 'w').write('done')\n"
GONE_WITHIN = 10.0
"""Seconds; two on a calm machine (`make bench`). Without the bell that tells of a cancel it would be twenty."""


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(ENVIRONMENT) as running:
        yield running


def begun(running: Stack, code: str) -> tuple[Job, str]:
    """A job in a repository of its own, and the word by which its processes are known."""
    running.await_ready()
    mark = f"mark-{secrets.token_hex(6)}"
    make_bare(running.forge, f"acme/{mark}", {"README.md": "sample\n"})
    return submit(running, f"acme/{mark}", f"# {mark}\n{code}"), mark


def cancelled(job: Job) -> None:
    """Cancel, and see it through: what it says, and that it is the last that is said."""
    status, answer = job.cancel("no longer wanted")
    assert (status, answer["jobId"]) == (202, job.id), answer
    assert job.failed("CANCELLED")["error"] == "Cancelled: no longer wanted"
    assert job.stack.ask("GET", job.path)[1]["status"] == "failed"


def test_a_job_that_waits_for_a_free_hand_is_cancelled_and_never_begins(running: Stack) -> None:
    busy, mark = begun(running, LONG)
    busy.await_said("at work")
    waiting, _ = begun(running, WORK)

    cancelled(waiting)

    assert "Creating sandbox" not in waiting.said
    assert living(mark), "the other job was harmed"
    cancelled(busy)


def test_a_cancelled_agent_is_gone_soon_after_the_answer(running: Stack) -> None:
    job, mark = begun(running, LONG)
    job.await_said("at work")
    assert living(mark)

    status, _ = job.cancel()
    took = until(lambda: not living(mark), GONE_WITHIN, "the agent lives")

    print(f"gone {took:.2f} s after the answer")
    assert (status, job.failed("CANCELLED")["error"]) == (202, "Cancelled")


def test_the_command_line_cancels_too(running: Stack) -> None:
    job, mark = begun(running, LONG)
    job.await_said("at work")

    done = trunkline(running, "cancel", job.id, "--reason", "by hand")
    until(lambda: not living(mark), GONE_WITHIN, "the agent lives")

    assert (done.returncode, job.failed("CANCELLED")["error"]) == (0, "Cancelled: by hand")
    unknown = trunkline(running, "cancel", str(uuid4()))
    assert unknown.returncode != 0 and "no such job" in unknown.stdout + unknown.stderr


def test_a_job_is_cancelled_while_its_sandbox_is_being_made(running: Stack) -> None:
    with locked(running.folder / "data/sandbox/boxes/.lock"):
        job, _ = begun(running, WORK)
        job.await_said("Creating sandbox")
        cancelled(job)
    works_again(running)


def test_a_job_is_cancelled_while_it_clones_something_slow_and_git_is_ended(running: Stack) -> None:
    running.await_ready()
    bare = make_bare(running.forge, f"acme/slow-{secrets.token_hex(4)}", {"README.md": "sample\n"})
    os.mkfifo(bare / "packed-refs")  # git waits here for as long as nobody writes
    job = submit(running, f"acme/{bare.stem}", WORK)
    job.await_said("Cloning repository")
    until(lambda: living(str(bare)), 20, "git does not run", fleeting=True)

    status, _ = job.cancel("too slow")
    took = until(lambda: not living(str(bare)), GONE_WITHIN, "git lives")

    print(f"git was gone {took:.2f} s after the answer")
    (bare / "packed-refs").unlink()
    assert (status, job.failed("CANCELLED")["error"]) == (202, "Cancelled: too slow")
    works_again(running)


@pytest.mark.kill
def test_a_job_that_is_cancelled_before_its_push_leaves_nothing_at_the_forge(running: Stack) -> None:
    running.await_ready()
    running.arm("committed.before_effect")
    job, _ = begun(running, WORK)
    until(lambda: not running.armed("committed.before_effect"), 20, "never came to the commit")
    cancelled(job)


@pytest.mark.kill
def test_a_cancel_that_comes_after_the_push_began_does_not_undo_it(running: Stack) -> None:
    running.await_ready()
    running.arm("pushed.before_effect")
    job, _ = begun(running, WORK)
    until(lambda: not running.armed("pushed.before_effect"), 20, "never came to the push")

    assert job.cancel()[0] == 202

    job.succeeded()


def test_a_push_under_way_is_finished_though_a_cancel_came(running: Stack) -> None:
    job, mark = begun(running, LONG.replace("300", "10"))
    job.await_said("at work")
    os.mkfifo(job.bare / "packed-refs")
    job.await_said("Pushing")
    until(lambda: living("receive-pack"), 20, "git does not push", fleeting=True)

    assert job.cancel()[0] == 202
    os.close(os.open(job.bare / "packed-refs", os.O_WRONLY))
    (job.bare / "packed-refs").unlink()

    job.succeeded()
    assert living(mark) == []


def test_cancelling_twice_is_cancelling_once(running: Stack) -> None:
    job, _ = begun(running, LONG)
    job.await_said("at work")
    assert [job.cancel("first")[0], job.cancel("second")[0]] == [202, 202]
    assert job.failed("CANCELLED")["error"] == "Cancelled: first"
    before = len(facts(running, job.id))
    assert job.cancel("third")[0] == 202
    assert len(facts(running, job.id)) == before


def test_what_is_over_or_unknown_cannot_be_cancelled(running: Stack) -> None:
    job, _ = begun(running, WORK)
    job.succeeded()
    before = len(facts(running, job.id))

    status, refusal = job.cancel()

    assert (status, refusal["code"]) == (409, "TASK_OVER") and "over" in refusal["error"]
    assert len(facts(running, job.id)) == before
    for id in (str(uuid4()), "0" * 32):
        status, refusal = running.ask("POST", f"/api/pr-agent/{id}/cancel")
        assert (status, refusal["code"], refusal["error"]) == (404, "NOT_FOUND", "there is no such job")


@pytest.mark.kill
def test_a_job_whose_agent_was_killed_from_outside_is_tried_once_more_and_then_given_up(running: Stack) -> None:
    job, mark = begun(running, LONG)
    job.await_said("at work")
    kill_with_runner(mark)
    job.await_said("Trying again (attempt 2")
    until(lambda: job.said.count("at work") == 2, 20, "never tried again")
    kill_with_runner(mark)

    job.failed("AGENT_LOST", "vanished", "trying again may help")

    story = facts(running, job.id)
    assert [fact.attempt for fact in story if isinstance(fact, TaskRetryScheduled)] == [2]
    assert [fact.attempt for fact in story if isinstance(fact, TaskAssigned)] == [1, 2]


@pytest.mark.kill
def test_a_job_whose_second_try_goes_well_has_one_branch_and_one_result(running: Stack) -> None:
    job, mark = begun(running, LONG.replace("300", "15"))
    job.await_said("at work")
    kill_with_runner(mark)
    assert job.succeeded()["filesChanged"] == 1
    assert "Trying again (attempt 2" in job.said
    assert git(job.bare, "rev-list", "--count", "--all") == "2"


@pytest.mark.kill
def test_a_job_is_cancelled_between_two_tries(running: Stack) -> None:
    job, mark = begun(running, LONG)
    job.await_said("at work")
    kill_with_runner(mark)
    job.await_said("Trying again (attempt 2")
    cancelled(job)
    assert job.said.count("at work") == 1


def kill_with_runner(mark: str) -> None:
    """Kill the agent and all that is above it inside its sandbox, as a machine that runs out of memory might."""
    for agent in living(mark):
        with suppress(psutil.Error):
            for above in agent.parents():
                if "/run/runner/" in " ".join(above.cmdline()):
                    above.send_signal(signal.SIGKILL)
    until(lambda: not living(mark), 20, "the agent lives")


def works_again(running: Stack) -> None:
    job, _ = begun(running, WORK)
    job.succeeded()


def trunkline(running: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "trunkline_cli", *words, "--url", running.url]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
