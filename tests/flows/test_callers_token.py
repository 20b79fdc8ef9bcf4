"""A caller's own token for a private repository: clone, push and pull request by it, through waits and deaths, and found nowhere after."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
import requests

from tests.flows.hub import hub
from tests.flows.jobs import Job, bus_settings, facts, until
from tests.flows.looking import look
from tests.flows.talkers import ASKS_ONCE, SECRET, Person, awaited, environment, person
from trunkline.bus import connect
from trunkline.bus.vault import vault_key
from trunkline.contracts.ids import TenantId
from trunkline.contracts.run import ApprovalWanted, RunParked
from trunkline.contracts.task import TaskFailed, TaskSubmitted, TaskSucceeded
from trunkline.telemetry.redaction import spellings
from trunkline.testing.fake_github import FakeGitHub
from trunkline.testing.repositories import branches, make_bare
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(150)]

PLAIN = 'say("at work")\nopen("done.txt", "w").write("done")\n'
HOME = "public"
ROUTES = '{"fix": {"pool": "dev", "executor": "sandbox"}}'


@dataclass
class Place:
    """A running stack whose forge is a GitHub that lets nobody in by itself."""

    stack: Stack
    github: FakeGitHub
    root: Path

    def private(self, **rights: str) -> tuple[str, str]:
        """A repository, and the one token that opens it."""
        repo = f"acme/private-{secrets.token_hex(6)}"
        make_bare(self.root, repo, {"README.md": "sample\n"})
        return repo, self.github.user_token(repo, **rights)

    def execute(self, repo: str, task: str, headers: Mapping[str, str] | None = None, **fields: object) -> requests.Response:
        self.stack.await_ready()
        body = {"repo": repo, "task": task, **fields}
        return requests.post(f"{self.stack.url}/api/pr-agent/execute", json=body, headers=dict(headers or {}), timeout=30)

    def job(self, repo: str, task: str, headers: Mapping[str, str] | None = None, **fields: object) -> Job:
        answer = self.execute(repo, task, headers, **fields)
        assert answer.status_code == 200, answer.text
        shown = (headers or {}).get("Authorization", "").removeprefix("Bearer ") or str(fields.get("githubToken", ""))
        return Job(self.stack, repo, answer.json()["jobId"], bearer=shown)

    def made(self, repo: str) -> tuple[list[str], int]:
        """Branches of ours at the forge, and pull requests."""
        found = [name for name in branches(self.root / f"{repo}.git") if name.startswith("trunkline/")]
        return found, len(self.github.pulls.get(repo, []))

    def kept(self, tenant: str, task: str) -> str | None:
        """What the vault holds for a task."""
        key = vault_key("", self.stack.folder / "data" / "vault.key")
        return look(bus_settings(self.stack), lambda bus: bus.vault(key).get(TenantId(tenant), UUID(task).hex))

    def forgotten(self, tenant: str, task: str) -> None:
        until(lambda: self.kept(tenant, task) is None, 20, "the token is still in the vault")

    def stolen(self, token: str) -> list[str]:
        """Files that hold the token in any spelling: the store, the data directory, the log."""
        words = [word.encode() for word in spellings(token)]
        files = [Path(folder, name) for folder, _, names in os.walk(self.stack.folder) for name in names]  # it minds no folder that goes
        return [str(path) for path in files if any(word in content(path) for word in words)]

    def clean_of(self, token: str) -> None:
        """Until what the agent itself was told has gone with its sandbox."""
        until(lambda: self.stolen(token) == [], 20, "the token is still on the disk")


def content(path: Path) -> bytes:
    """Of a file that may go at any moment."""
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    except FileNotFoundError:
        return b""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("hub")
    with hub(root) as github:
        more = {
            "TRUNKLINE_FORGE": "github",
            "GITHUB_API_URL": github.api_url,
            "GITHUB_TOKEN": "",
            "TRUNKLINE_HOLD_PROCESS_S": "0.5",
            "TRUNKLINE_ROUTES": ROUTES,
        }
        with stack(environment(**more)) as running:
            yield Place(running, github, root)


@pytest.fixture
def eve(place: Place) -> Person:
    return person(place.stack)


def agent(place: Place, subject: str, tenant: str) -> dict[str, str]:
    now = int(time.time())
    claims = {"sub": subject, "role": "agent", "tenant": tenant, "iat": now, "exp": now + 3600}
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}


def created(place: Place, headers: Mapping[str, str], repo: str, task: str, **more: object) -> requests.Response:
    place.stack.await_ready()
    body = {"type": "fix", "payload": {"description": task}, "metadata": {"repo": repo}, **more}
    return requests.post(f"{place.stack.url}/tasks", json=body, headers=dict(headers), timeout=30)


def shown(place: Place, headers: Mapping[str, str], task: str) -> dict[str, Any]:
    said: dict[str, Any] = requests.get(f"{place.stack.url}/tasks/{task}", headers=dict(headers), timeout=30).json()["task"]
    return said


def ended(place: Place, headers: Mapping[str, str], task: str) -> dict[str, Any]:
    until(lambda: shown(place, headers, task)["status"] in ("completed", "failed", "cancelled"), 60, lambda: shown(place, headers, task))
    return shown(place, headers, task)


def of_the_end(place: Place, job: str) -> TaskFailed:
    [fact] = [fact for fact in facts(place.stack, job) if isinstance(fact, TaskFailed)]
    return fact


@pytest.mark.parametrize("way", ["body", "bearer"])
def test_a_private_repository_opens_for_the_token_that_came_with_the_job_and_for_nothing_else(place: Place, way: str) -> None:
    repo, token = place.private()
    said = {"githubToken": token} if way == "body" else {}
    job = place.job(repo, PLAIN, {"Authorization": f"Bearer {token}"} if way == "bearer" else None, **said)

    assert job.end()["type"] == "result"
    found, pulls = place.made(repo)
    assert (len(found), pulls) == (1, 1)
    assert {seen.token for seen in place.github.seen if repo in seen.path} <= {token, ""}  # git first asks without
    place.forgotten(HOME, job.id)
    place.clean_of(token)

    assert requests.get(f"{place.stack.url}{job.path}", timeout=30).status_code == 404  # and seen by nobody without it

    refused = place.execute(repo, PLAIN)
    assert (refused.status_code, refused.json()["code"]) == (404, "REPO_NOT_FOUND")


def test_the_log_holds_a_handle_and_the_agent_that_was_told_the_token_shows_nothing(place: Place) -> None:
    repo = f"acme/odd-{secrets.token_hex(6)}"
    make_bare(place.root, repo, {"README.md": "sample\n"})
    token = f"odd.{secrets.token_hex(12)}"  # of no known shape: only its value gives it away
    known = place.github.user_token(repo)
    place.github.grants[token], place.github.people[token] = place.github.grants[known], place.github.people[known]
    halves = (token[:10], token[10:])
    prints = "import base64, urllib.parse\n" + (
        f"t = {halves[0]!r} + {halves[1]!r}\n"
        "for each in (t, base64.b64encode(t.encode()).decode(), t.encode().hex(), urllib.parse.quote(t)): say('it is ' + each)\n"
    )
    taken = place.execute(repo, f"# {token}\n{prints}{PLAIN}", githubToken=token)
    job = Job(place.stack, repo, taken.json()["jobId"], bearer=known)  # the same person's

    assert job.end()["type"] == "result"
    [submitted] = [fact for fact in facts(place.stack, job.id) if isinstance(fact, TaskSubmitted)]
    assert submitted.assignment.credential == UUID(job.id).hex
    assert "[redacted:github-token]" in submitted.assignment.prompt
    assert job.said.count("it is [redacted:github-token]") == 4
    place.forgotten(HOME, job.id)
    place.clean_of(token)


def test_a_run_that_is_put_aside_and_taken_up_by_another_sandbox_service_has_its_token_still(place: Place, eve: Person) -> None:
    repo, token = place.private()
    job = place.job(repo, ASKS_ONCE, githubToken=token)
    name = awaited(job, ApprovalWanted).approval_id
    awaited(job, RunParked)
    assert place.kept(HOME, job.id) == token

    place.stack.kill("sandbox")
    place.stack.kill("gateway")
    place.stack.await_ready()
    eve.patiently_approve(job, name)

    awaited(job, TaskSucceeded, 60)
    assert (len(place.made(repo)[0]), place.made(repo)[1]) == (1, 1)
    place.forgotten(HOME, job.id)
    place.clean_of(token)


def test_a_cancelled_job_leaves_no_token_behind(place: Place) -> None:
    repo, token = place.private()
    job = place.job(repo, 'say("at work")\nimport time\ntime.sleep(600)\n', githubToken=token)
    job.await_said("at work", 40)
    assert place.kept(HOME, job.id) == token
    assert job.cancel("enough")[0] == 202
    assert job.end()["code"] == "CANCELLED"
    place.forgotten(HOME, job.id)


def test_a_token_that_is_not_valid_is_refused_clearly_and_at_once(place: Place) -> None:
    repo, _ = place.private()
    wrong = f"ghp_{secrets.token_hex(18)}"
    refused = place.execute(repo, PLAIN, githubToken=wrong)
    assert (refused.status_code, refused.json()["code"]) == (401, "AUTH_REQUIRED")
    assert "does not take this token" in refused.json()["error"]
    assert place.made(repo) == ([], 0)
    assert place.stolen(wrong) == []


def test_a_token_that_may_only_read_is_told_before_the_agent_works(place: Place) -> None:
    repo, token = place.private(right="read")
    job = place.job(repo, PLAIN, githubToken=token)
    assert job.end()["code"] == "REPO_READ_ONLY"
    assert "at work" not in job.said


def test_a_token_that_is_lost_before_the_run_begins_is_said_to_be_lost(place: Place, eve: Person) -> None:
    repo, token = place.private()
    job = place.job(repo, ASKS_ONCE, githubToken=token)
    name = awaited(job, ApprovalWanted).approval_id
    awaited(job, RunParked)

    async def lose() -> None:
        async with connect(bus_settings(place.stack), "test") as bus:
            await bus.vault(b"").forget(TenantId(HOME), UUID(job.id).hex)

    asyncio.run(lose())
    eve.patiently_approve(job, name)
    assert job.end()["code"] == "FORGE_CREDENTIAL"
    assert "cannot be had any more" in of_the_end(place, job.id).error
    assert place.made(repo) == ([], 0)


def test_two_tenants_with_the_same_words_have_each_its_own_token(place: Place) -> None:
    one, ones = place.private()
    other, others = place.private()
    ann, bob = agent(place, "ann", "acme"), agent(place, "bob", "globex")
    tasks = {
        "acme": created(place, {**ann, "X-GitHub-Token": ones}, one, PLAIN),
        "globex": created(place, {**bob, "X-GitHub-Token": others}, other, PLAIN),
    }
    assert {answer.status_code for answer in tasks.values()} == {200}
    ids = {tenant: answer.json()["task_id"] for tenant, answer in tasks.items()}
    assert ended(place, ann, ids["acme"])["status"] == "completed"
    assert ended(place, bob, ids["globex"])["status"] == "completed"
    for repo, token in ((one, ones), (other, others)):
        assert {seen.token for seen in place.github.seen if repo in seen.path} <= {token, ""}
        place.clean_of(token)
    # What one has does not open what the other may see, nor does a token of before help who gives none.
    assert created(place, ann, other, PLAIN).status_code == 200
    denied = created(place, {**ann, "X-GitHub-Token": ones}, other, PLAIN).json()["task_id"]
    assert ended(place, ann, denied)["status"] == "failed"
    assert of_the_end(place, denied.removeprefix("task_")).code == "REPO_NOT_FOUND"


def test_a_repeated_request_is_one_task_and_its_memory_holds_nothing_of_the_token(place: Place) -> None:
    repo, token = place.private()
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    first, again = (place.execute(repo, PLAIN, headers, githubToken=token) for _ in range(2))
    assert (first.json(), again.headers["Idempotency-Replayed"]) == (again.json(), "true")
    other = place.execute(repo, PLAIN, headers, githubToken=place.github.user_token(repo, person=place.github.people[token]))
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")

    job = Job(place.stack, repo, first.json()["jobId"], bearer=token)
    assert job.end()["type"] == "result"
    assert (len(place.made(repo)[0]), place.made(repo)[1]) == (1, 1)
    place.forgotten(HOME, job.id)
    place.clean_of(token)


def test_a_token_for_agents_elsewhere_is_refused_and_not_kept(place: Place) -> None:
    repo, token = place.private()
    ann = agent(place, "ann", "acme")
    said = created(place, {**ann, "X-GitHub-Token": token}, repo, PLAIN, type="bugfix")
    assert said.status_code == 400
    assert "agents elsewhere" in said.json()["detail"]
    assert token not in said.text


def test_who_goes_on_from_such_a_task_gives_a_token_again(place: Place) -> None:
    repo, token = place.private()
    ann = agent(place, "ann", "acme")
    task = created(place, {**ann, "X-GitHub-Token": token}, repo, PLAIN).json()["task_id"]
    assert ended(place, ann, task)["status"] == "completed"

    def go_on(**headers: str) -> requests.Response:
        said = {"text": 'open("more.txt", "w").write("more")\n'}
        return requests.post(f"{place.stack.url}/tasks/{task}/fork", json=said, headers={**ann, **headers}, timeout=30)

    refused = go_on()
    assert refused.status_code == 400
    assert "give one again, as X-GitHub-Token" in refused.json()["detail"]
    onward = go_on(**{"X-GitHub-Token": token}).json()["task_id"]
    assert ended(place, ann, onward)["status"] == "completed"
    assert (len(place.made(repo)[0]), place.made(repo)[1]) == (2, 2)
    place.forgotten("acme", onward.removeprefix("task_"))
    place.clean_of(token)


def test_the_key_is_the_users_alone(place: Place) -> None:
    key = place.stack.folder / "data" / "vault.key"
    assert key.stat().st_mode & 0o777 == 0o600
    written = key.read_text().strip()
    derived = vault_key(written)
    held = [path for path in (place.stack.folder / "data" / "nats").rglob("*") if path.is_file()]
    assert held
    for word in (written.encode(), derived, derived.hex().encode(), base64.b64encode(derived)):
        assert [str(path) for path in held if word in path.read_bytes()] == []
