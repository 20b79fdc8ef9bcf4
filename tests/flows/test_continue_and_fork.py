"""Going on from a task that is over: continued on its pull request, forked off at an event, and what happens when that cannot be."""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from tests.flows.jobs import Job, facts, submit, until
from tests.flows.talkers import Person, awaited, environment, person
from trunkline.contracts.run import AgentOutput, SnapshotKept
from trunkline.contracts.task import TaskFailed
from trunkline.testing.repositories import git, make_bare
from trunkline.testing.stack import Stack, stack
from trunkline_cli.__main__ import main

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

PROGRAM = """
import json, os, sys, time
FOLDER = os.path.expanduser("~/.conversation")
def out(**said): print(json.dumps(said), flush=True)
def say(text): out(type="message", text=text)
def sh(id, command):
    out(type="tool_call", tool="Shell", input={"command": command}, id=id)
    os.system(command)
    out(type="tool_result", id=id, output="ran")
def kept(session): return os.path.join(FOLDER, session)
task = json.loads(sys.stdin.readline())
before = task.get("resume")
told = json.load(open(kept(before))) if before else []
session = "s-" + os.urandom(4).hex() if not before or task["fork"] else before
out(type="session", id=session)
os.makedirs(FOLDER, exist_ok=True)
def remember(text):
    told.append(text)
    json.dump(told, open(kept(session), "w"))
say("remembers: " + json.dumps(told))
if not before: say("was told: " + task["text"])
remember(task["text"])
exec(task["text"].rpartition("Now:\\n")[2])
out(type="turn_over", summary="all done")
sys.stdin.readline()
"""
TWO_EDITS = """
sh("a", "echo one > first.txt; echo kept > built.o; echo built.o > .gitignore")
time.sleep(6)
sh("b", "echo two > second.txt")
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(environment(TRUNKLINE_AGENT_COMMAND=f"python3 -c '{PROGRAM}'", TRUNKLINE_TOOL_RULES="[]")) as running:
        yield running


@pytest.fixture
def ada(running: Stack) -> Person:
    return person(running, "ada", "agent")


@dataclass(frozen=True)
class After:
    """A task that goes on from another, as its submitter sees it."""

    ada: Person
    origin: Job
    answer: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.answer["task_id"]).removeprefix("task_")

    @property
    def task(self) -> dict[str, Any]:
        return self.ada.ask("GET", f"/tasks/{self.id}")[1]["task"]  # type: ignore[no-any-return]

    def end(self, seconds: float = 40) -> dict[str, Any]:
        until(lambda: self.task["status"] in ("completed", "failed", "cancelled"), seconds, self.task)
        return self.task

    def succeeded(self) -> dict[str, Any]:
        over = self.end()
        assert over["status"] == "completed", over
        return over["result"]  # type: ignore[no-any-return]

    def failed(self, code: str) -> str:
        assert self.end()["status"] == "failed"
        [fact] = [fact for fact in facts(self.origin.stack, str(UUID(self.id))) if isinstance(fact, TaskFailed)]
        assert fact.code == code, fact
        return fact.error

    @property
    def said(self) -> str:
        found = facts(self.origin.stack, str(UUID(self.id)))
        return "\n".join(fact.text for fact in found if isinstance(fact, AgentOutput))


def submitted(running: Stack, code: str) -> Job:
    running.await_ready()
    repo = f"acme/on-{secrets.token_hex(6)}"
    make_bare(running.forge, repo, {"README.md": "sample\n"})
    return submit(running, repo, code)


def went_on(ada: Person, job: Job, verb: str, **body: object) -> After:
    status, said = ada.ask("POST", f"/tasks/task_{UUID(job.id).hex}/{verb}", body)
    assert status == 200, said
    return After(ada, job, said)


def shown(job: Job, branch: str, path: str) -> str | None:
    names = git(job.bare, "ls-tree", "-r", "--name-only", branch).split()
    return git(job.bare, "show", f"{branch}:{path}") if path in names else None


def event_of(running: Stack, ada: Person, job: Job, wanted: Callable[[dict[str, Any]], bool]) -> str:
    status, page = ada.ask("GET", f"/tasks/{UUID(job.id).hex}/events?limit=1000")
    assert status == 200, page
    return next(str(one["id"]) for one in page["events"] if wanted(one))


def test_a_task_is_continued_by_a_commit_on_its_own_pull_request(running: Stack, ada: Person) -> None:
    job = submitted(running, 'sh("a", "echo one > first.txt; echo kept > built.o; echo built.o > .gitignore")')
    first = job.succeeded()
    before = git(job.bare, "rev-parse", first["fixBranch"])

    after = went_on(ada, job, "continue", text='sh("b", "cat built.o first.txt > second.txt")')
    assert after.answer["origin"]["conversation"]
    result = after.succeeded()

    assert (result["branch"], result["pull_request"]) == (first["fixBranch"], 1)
    assert job.left() == ([first["fixBranch"]], 1)
    assert git(job.bare, "rev-parse", f"{result['commit']}^") == before
    assert (shown(job, result["branch"], "second.txt") or "").split() == ["kept", "one"], "the workspace is not as it was left"
    assert "echo one > first.txt" in after.said.partition("remembers: ")[2].splitlines()[0]

    third = went_on(ada, replace_id(job, after.id), "continue", text='sh("c", "echo three > third.txt")')
    assert third.succeeded()["pull_request"] == 1
    record = json.loads((job.bare / "trunkline" / "pulls" / "1.json").read_text())
    assert re.findall("^Trunkline-Task: (.*)$", record["body"], re.MULTILINE) == [UUID(job.id).hex, after.id, third.id]
    assert job.left() == ([first["fixBranch"]], 1)
    assert git(job.bare, "rev-list", "--count", f"main..{first['fixBranch']}").strip() == "3"


def test_a_fork_from_before_an_edit_does_not_have_it_and_leaves_its_origin_alone(running: Stack, ada: Person) -> None:
    job = submitted(running, TWO_EDITS)
    first = job.succeeded()
    tip = git(job.bare, "rev-parse", first["fixBranch"])
    second_call = event_of(running, ada, job, is_second_call)

    fork = went_on(ada, job, "fork", text='sh("c", "cp first.txt third.txt")', **{"from": second_call})
    assert fork.answer["origin"]["snapshot"] and fork.answer["origin"]["conversation"]
    running.kill("sandbox")
    result = fork.succeeded()

    assert (result["pull_request"], result["branch"] != first["fixBranch"]) == (2, True)
    assert [shown(job, result["branch"], f"{name}.txt") for name in ("first", "second", "third")] == ["one", None, "one"]
    assert git(job.bare, "rev-parse", first["fixBranch"]) == tip
    assert "remembers: " in fork.said and "was told" not in fork.said

    anew = went_on(ada, job, "fork", text='sh("d", "ls > listed.txt")', **{"from": event_of(running, ada, job, is_cloned)})
    assert not anew.answer["origin"]["snapshot"]
    assert (shown(job, anew.succeeded()["branch"], "listed.txt") or "").split() == ["README.md", "listed.txt"]


def is_second_call(one: dict[str, Any]) -> bool:
    return "two > second.txt" in str(one) and "'kind': 'tool_call'" in str(one)


def is_cloned(one: dict[str, Any]) -> bool:
    return bool(one["event_type"] == "run.cloned")


def test_work_that_was_never_pushed_is_gone_on_with(running: Stack, ada: Person) -> None:
    job = submitted(running, 'sh("a", "echo one > first.txt")\nout(type="error", text="gave up")\nsys.exit(3)')
    assert job.end()["type"] == "error"
    assert job.left() == ([], 0)

    result = went_on(ada, job, "continue", text='sh("b", "echo two > second.txt")').succeeded()

    assert [shown(job, result["branch"], f"{name}.txt") for name in ("first", "second")] == ["one", "two"]
    assert job.left() == ([result["branch"]], 1)


def test_a_task_that_was_cancelled_is_gone_on_with_from_its_last_snapshot(running: Stack, ada: Person) -> None:
    job = submitted(running, TWO_EDITS)
    awaited(job, SnapshotKept)
    assert job.cancel("enough")[0] in (200, 202)
    assert job.end()["code"] == "CANCELLED"

    result = went_on(ada, job, "continue", text='sh("c", "echo three > third.txt")').succeeded()

    assert [shown(job, result["branch"], f"{name}.txt") for name in ("first", "second", "third")] == ["one", None, "three"]


@pytest.mark.kill
def test_snapshots_of_a_run_that_changed_hands_are_whole(running: Stack, ada: Person) -> None:
    job = submitted(running, TWO_EDITS)
    awaited(job, SnapshotKept)
    running.kill("sandbox")
    first = job.succeeded()

    result = went_on(ada, job, "continue", text='sh("c", "cat built.o first.txt second.txt > third.txt")').succeeded()

    assert (shown(job, first["fixBranch"], "third.txt") or "").split() == ["kept", "one", "two"]
    assert result["pull_request"] == 1


def test_a_branch_that_somebody_pushed_to_is_not_pushed_over(running: Stack, ada: Person) -> None:
    job = submitted(running, 'sh("a", "echo one > first.txt")')
    branch = job.succeeded()["fixBranch"]
    tree = git(job.bare, "rev-parse", f"{branch}^{{tree}}").strip()
    theirs = git(job.bare, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", tree, "-p", branch, "-m", "theirs").strip()
    git(job.bare, "update-ref", f"refs/heads/{branch}", theirs)

    told = went_on(ada, job, "continue", text='sh("b", "echo two > second.txt")').failed("BRANCH_MOVED")

    assert "somebody pushed" in told
    assert git(job.bare, "rev-parse", branch).strip() == theirs


def test_what_was_kept_and_is_gone_is_said_to_be(running: Stack, ada: Person) -> None:
    job = submitted(running, 'sh("a", "echo one > first.txt")')
    job.succeeded()
    kept = running.folder / "data" / "sandbox" / "kept" / f"{UUID(job.id).hex}-1"
    until(kept.exists, 10, "it was not put away")
    shutil.rmtree(kept)

    assert "not on this machine" in went_on(ada, job, "fork", text="pass").failed("SNAPSHOT_LOST")


def test_it_is_done_from_a_terminal_too(running: Stack, ada: Person) -> None:
    job = submitted(running, 'sh("a", "echo one > first.txt")')
    branch = job.succeeded()["fixBranch"]
    event = event_of(running, ada, job, lambda one: bool(one["event_type"] == "run.snapshot_kept"))
    token = ada.headers["Authorization"].removeprefix("Bearer ")
    told = {}
    for words in (["continue", job.id, 'sh("b", "touch b.txt")'], ["fork", job.id, "--from", event, 'sh("c", "touch c.txt")']):
        out = io.StringIO()
        with patch.dict(os.environ, {"TRUNKLINE_URL": running.url, "TRUNKLINE_TOKEN": token}), redirect_stdout(out):
            assert main([*words, "--watch"]) == 0
        told[words[0]] = out.getvalue()
    assert "Pull request" in told["continue"] or "pull" in told["continue"], told
    assert shown(job, branch, "b.txt") == "" and shown(job, branch, "c.txt") is None
    assert len(job.left()[0]) == job.left()[1] == 2


def test_only_what_is_over_is_gone_on_with(running: Stack, ada: Person) -> None:
    job = submitted(running, 'sh("a", "echo one > first.txt")\ntime.sleep(3)')
    job.await_said("ran")
    for verb in ("continue", "fork"):
        status, said = ada.ask("POST", f"/tasks/{UUID(job.id).hex}/{verb}", {"text": "pass"})
        assert (status, "not over" in said["detail"]) == (409, True), said
    job.succeeded()
    assert ada.ask("POST", f"/tasks/{'0' * 32}/continue", {"text": "pass"})[0] == 404
    status, said = ada.ask("POST", f"/tasks/{UUID(job.id).hex}/fork", {"text": "pass", "from": "zzzz-1"})
    assert status == 400, said


def replace_id(job: Job, id: str) -> Job:
    return replace(job, id=str(UUID(id)))
