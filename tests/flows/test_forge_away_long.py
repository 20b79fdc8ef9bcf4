"""The whole product while GitHub wants to be left alone: work that is done survives kills, and is gone on with if the wait is too long."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from tests.campaigns import LONG
from tests.flows.hub import hub
from tests.flows.jobs import Job, submit, until
from tests.flows.talkers import Person, awaited, environment, of, person
from tests.flows.test_continue_and_fork import After
from trunkline.contracts.run import AgentStarted, RunGoesOn, RunParked, RunSucceeded, RunWaits, RunWoken, Wait
from trunkline.testing.fake_github import FakeGitHub, Grant
from trunkline.testing.repositories import branches, make_bare, read_files
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(180)]

PLAIN = 'open("done.txt", "w").write("done")\n'
TOKEN = f"ghp_{secrets.token_hex(18)}"
LIMIT_S = 40


class Anywhere(frozenset[str]):
    """Every repository."""

    def __contains__(self, name: object) -> bool:
        return True


@dataclass
class Place:
    stack: Stack
    github: FakeGitHub
    root: Path

    def job(self, name: str, code: str = PLAIN, **fault: str) -> tuple[Job, str]:
        repo = f"acme/{name}-{secrets.token_hex(4)}"
        make_bare(self.root, repo, {"README.md": "sample\n"})
        self.github.fail("create", "429", 1, repo=repo, **fault)
        self.stack.await_ready()
        return submit(self.stack, repo, code), repo

    def restart(self) -> None:
        """The sandbox service is killed, and what it knew of limits with it."""
        before = self.stack.pid("sandbox")
        self.stack.kill("sandbox")
        until(lambda: alive(self.stack) not in (0, before), 30, "it did not come back")
        self.stack.await_ready()


def alive(stack: Stack) -> int:
    try:
        return stack.pid("sandbox")
    except LookupError:
        return 0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("github")
    with hub(root) as github:
        rights = dict.fromkeys(("contents", "pull_requests", "issues", "statuses"), "write")
        github.grants[TOKEN], github.public = Grant(Anywhere(), rights), Anywhere()
        at = {"TRUNKLINE_FORGE": "github", "GITHUB_API_URL": github.api_url, "GITHUB_TOKEN": TOKEN}
        with stack(environment(**at, TRUNKLINE_FORGE_PATIENCE_S=str(LIMIT_S), TRUNKLINE_RUNS="1")) as running:
            yield Place(running, github, root)


@pytest.fixture
def ada(place: Place) -> Person:
    return person(place.stack, "ada", "agent")


@pytest.mark.skipif(not LONG, reason="half a minute of waiting; `make campaigns` does it")
def test_a_run_that_waits_for_its_forge_outlives_a_kill_and_holds_no_hand(place: Place) -> None:
    job, repo = place.job("killed", retry_after="22")
    parked = awaited(job, RunParked)
    assert (parked.why, [waits.why for waits in of(job, RunWaits)]) == (Wait.FORGE, [Wait.FORGE])
    place.restart()
    awaited(job, RunSucceeded, 90)
    assert len(place.github.pulls[repo]) == len(of(job, AgentStarted)) == 1
    assert len(of(job, RunWoken)) >= 1
    assert len(of(job, RunGoesOn)) == 1
    assert set(branches(place.root / f"{repo}.git")) == {"main", place.github.pulls[repo][0]["head"]["ref"]}


def test_work_whose_forge_stays_away_is_kept_and_gone_on_with(place: Place, ada: Person) -> None:
    job, repo = place.job("long", retry_after=str(10 * LIMIT_S))
    status, said = ada.ask("GET", f"/tasks/task_{UUID(job.id).hex}")
    until(lambda: ada.ask("GET", f"/tasks/task_{UUID(job.id).hex}")[1]["task"]["status"] == "failed", 40, said)
    assert f"trunkline continue {UUID(job.id).hex}" in str(ada.ask("GET", f"/tasks/task_{UUID(job.id).hex}")[1])
    assert place.github.pulls.get(repo, []) == []
    place.restart()
    status, said = ada.ask("POST", f"/tasks/task_{UUID(job.id).hex}/continue", {"text": "pass"})
    assert status == 200, said
    After(ada, job, said).succeeded()
    (pull,) = place.github.pulls[repo]
    assert set(read_files(place.root / f"{repo}.git", pull["head"]["ref"])) == {"README.md", "done.txt"}
