"""A second opinion: the App, its tokens, pull requests, comments and workflow runs against an emulator of GitHub that others wrote.

It takes unknown tokens and lets a head have two pull requests, so those belong to our own fake; and it has no git, no statuses and no
events that start workflows.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.conformance.github_place import keys
from trunkline.contracts.errors import Denied, NotFound
from trunkline.github.calls import connections
from trunkline.testing.nats import free_port
from trunkline_relay.adapters.workflows import GitHubWorkflows, Options, github_workflows
from trunkline_relay.model.run_matching import Listed
from trunkline_relay.ports import Start
from trunkline_sandbox.adapters.forges.github import GitHubForge, GitHubOptions, github_forge
from trunkline_sandbox.ports import Access, PullRequestSpec

HERE = Path(__file__).parent / "emulator"
APP = Access("acme/app")
BRANCH = "trunkline/fix-1"
_START_S = 30


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emulator, brought by npm just as it is locked."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not on this machine: the second opinion on GitHub is not asked for")
    folder = tmp_path_factory.mktemp("emulator")
    for file in HERE.glob("*.json"):
        shutil.copy(file, folder)
    words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not bring emulate within two minutes: the second opinion on GitHub is not asked for")
    if done.returncode:
        pytest.skip(f"npm cannot bring emulate: the second opinion on GitHub is not asked for ({done.stderr[-300:]})")
    return folder / "node_modules/emulate/dist/index.js"


@dataclass
class Emulator:
    """`acme/app`, where the App 12345 is installed, with a branch to be merged."""

    url: str
    key: Path
    forge: GitHubForge
    commit: str

    def spec(self) -> PullRequestSpec:
        return PullRequestSpec("acme/app", "main", BRANCH, "Fix it", "As asked.", self.commit, task="0" * 32, cost="US$ 0.42")

    def options(self, folder: Path, **changes: object) -> GitHubOptions:
        account = {"app_id": "12345", "app_key_file": self.key}
        return GitHubOptions(folder, self.url, **{**account, "gap_s": 0, "doubt_s": 0, **changes})  # type: ignore[arg-type]


@pytest.fixture
async def emulator(program: Path, tmp_path: Path) -> AsyncIterator[Emulator]:
    key = tmp_path / "app.pem"
    key.write_bytes(keys()[0])
    with running(program, tmp_path) as url:
        commit = await branch_made(url)
        made = Emulator(url, key, None, commit)  # type: ignore[arg-type]
        async with github_forge(made.options(tmp_path / "credentials", comment=True)) as forge:
            made.forge = forge
            yield made


@contextmanager
def running(program: Path, folder: Path) -> Iterator[str]:
    port = free_port()
    (folder / "seed.json").write_text(json.dumps(seed()))
    words = ["node", str(program), "start", "-s", "github", "-p", str(port), "--seed", str(folder / "seed.json")]
    with (folder / "emulate.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def seed() -> dict[str, object]:
    granted = dict.fromkeys(("contents", "pull_requests", "issues", "actions"), "write") | {"metadata": "read"}
    installed = [{"installation_id": 100, "account": "acme", "repository_selection": "all"}]
    app = {
        "app_id": 12345,
        "slug": "tl",
        "name": "TL",
        "private_key": keys()[0].decode(),
        "permissions": granted,
        "installations": installed,
    }
    user = {"login": "octocat", "email": "octocat@trunkline.invalid"}
    repos = [{"owner": "acme", "name": "app", "auto_init": True, "private": True}, {"owner": "octocat", "name": "own", "auto_init": True}]
    orgs = [{"login": "acme", "members": [{"login": "octocat", "role": "admin"}]}]
    github = {"users": [user], "orgs": orgs, "repos": repos, "apps": [app | {"events": []}]}
    return {"tokens": {"tok_octocat": {"login": "octocat", "scopes": ["repo"]}}, "github": github}


async def branch_made(url: str) -> str:
    """By the API, because the emulator has no git."""
    async with aiohttp.ClientSession(url, headers={"authorization": "Bearer tok_octocat"}) as session:
        base = await told(session, "GET", "/repos/acme/app/git/ref/heads/main")
        ref = {"ref": f"refs/heads/{BRANCH}", "sha": base["object"]["sha"]}
        await told(session, "POST", "/repos/acme/app/git/refs", ref)
        change = {"message": "m", "content": "aGk=", "branch": BRANCH}
        made = await told(session, "PUT", "/repos/acme/app/contents/a.txt", change)
    return str(made["commit"]["sha"])


async def told(session: aiohttp.ClientSession, method: str, path: str, body: object = None):  # type: ignore[no-untyped-def]  # JSON
    async with asyncio.timeout(_START_S):
        while True:
            try:
                async with session.request(method, path, json=body) as answer:
                    answer.raise_for_status()
                    return await answer.json()
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)


async def asked(url: str, path: str):  # type: ignore[no-untyped-def]  # JSON
    async with aiohttp.ClientSession(url, headers={"authorization": "Bearer tok_octocat"}) as session:
        return await told(session, "GET", path)


async def test_an_app_opens_one_pull_request_and_one_comment_however_often_it_tries(emulator: Emulator) -> None:
    first = await emulator.forge.open_pull_request(APP, emulator.spec())
    assert await emulator.forge.open_pull_request(APP, emulator.spec()) == first
    (pull,) = await asked(emulator.url, "/repos/acme/app/pulls?state=all")
    assert (pull["number"], pull["title"], pull["head"]["ref"]) == (first.number, "Fix it", BRANCH)
    assert pull["body"] == f"As asked.\n\nTrunkline-Task: {'0' * 32}\n", "one that was there is told who works on it"
    assert first.url == pull["html_url"]
    (comment,) = await asked(emulator.url, f"/repos/acme/app/issues/{first.number}/comments")
    assert "US$ 0.42" in comment["body"]


async def test_the_token_is_for_one_repository_and_says_its_rights(emulator: Emulator) -> None:
    async with emulator.forge.remote(APP) as remote:
        assert remote.url.endswith("/acme/app.git")
    (made,) = (await asked(emulator.url, "/_emulate/installation-tokens"))["installation_tokens"]
    assert made["permissions"] == {"contents": "write", "pull_requests": "write", "issues": "write"}


async def test_a_key_that_is_not_the_apps_is_refused(emulator: Emulator, tmp_path: Path) -> None:
    keys.cache_clear()
    other = tmp_path / "other.pem"
    other.write_bytes(keys()[0])
    async with github_forge(emulator.options(tmp_path / "c", app_key_file=other)) as forge:
        with pytest.raises(Denied) as refused:
            await forge.open_pull_request(APP, emulator.spec())
    assert refused.value.code == "FORGE_CREDENTIAL"


async def test_a_repository_without_the_app_is_told_so(emulator: Emulator) -> None:
    for repo in ("octocat/own", "acme/nothing"):
        with pytest.raises(NotFound) as refused:
            async with emulator.forge.remote(Access(repo)):
                pass
        assert refused.value.code == "APP_NOT_INSTALLED"


async def test_a_token_of_the_callers_own_serves_too(emulator: Emulator) -> None:
    assert (await emulator.forge.open_pull_request(Access("acme/app", "tok_octocat"), emulator.spec())).number == 1


@pytest.mark.parametrize("installation", [None, 100])
async def test_the_apps_token_may_start_show_and_cancel_workflow_runs(emulator: Emulator, installation: int | None) -> None:
    account = Options(emulator.url, app_id="12345", app_key_file=emulator.key, gap_s=0, doubt_s=0)
    async with github_workflows(account) as workflows:
        assert await workflows.runs("acme/app", datetime.now(UTC), installation) == Listed([])
        with pytest.raises(NotFound):
            await workflows.run("acme/app", 1, installation)
        with pytest.raises(NotFound) as refused:
            await workflows.cancel("acme/app", 1, installation)
        assert refused.value.details["outcome"] == "request_failed"
    (made,) = (await asked(emulator.url, "/_emulate/installation-tokens"))["installation_tokens"]
    assert made["permissions"] == {"contents": "write", "actions": "write"}


async def test_an_installation_that_is_none_of_the_apps_gives_no_token(emulator: Emulator) -> None:
    account = Options(emulator.url, app_id="12345", app_key_file=emulator.key, gap_s=0, doubt_s=0)
    async with github_workflows(account) as workflows:
        with pytest.raises(NotFound) as refused:
            await workflows.start(Start("acme/app", "omnara_trigger", {}, installation_id=7))
    assert refused.value.details["outcome"] == "request_failed"


async def test_what_starts_a_workflow_is_known_by_the_apps_own_word_while_it_is_fresh(emulator: Emulator, tmp_path: Path) -> None:
    """The emulator looks at signature and end by a library that is not ours. It has no such events: past the door it says 404."""
    stolen = tmp_path / "stolen.pem"
    keys.cache_clear()
    stolen.write_bytes(keys()[0])
    said = []
    for key, late_s in ((emulator.key, 0), (stolen, 0), (emulator.key, 3600)):
        account = Options(emulator.url, app_id="12345", app_key_file=key, gap_s=0, doubt_s=0)
        async with connections(5) as session:
            with pytest.raises((Denied, NotFound)) as refused:
                clock = partial(_behind, late_s)
                await GitHubWorkflows(account, session, clock).start(Start("acme/app", "omnara_trigger", {}, installation_id=100))
        assert refused.value.details["outcome"] == "request_failed"
        said.append((refused.value.code, refused.value.details["status"]))
    assert said == [("REPO_NOT_FOUND", 404), ("FORGE_CREDENTIAL", 401), ("FORGE_CREDENTIAL", 401)]
    assert len((await asked(emulator.url, "/_emulate/installation-tokens"))["installation_tokens"]) == 1


def _behind(seconds: float) -> float:
    return time.time() - seconds
