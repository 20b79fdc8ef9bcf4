"""Exactly one pull request, whatever GitHub does once at whichever step: the sandbox service carries real tasks to a GitHub of ours."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from tests.campaigns import LONG
from tests.conformance.github_place import keys
from tests.flows.carried import TENANT, Carried
from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.contracts.errors import Exhausted
from trunkline.contracts.record import Record
from trunkline.contracts.run import PullRequestOpened, RunFailed, RunGoesOn, RunSucceeded, RunWaits
from trunkline.contracts.task import Assignment, TaskAssigned, TaskSubmitted
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.fake_github import App, FakeGitHub, fake_github
from trunkline.testing.forge_faults import KINDS
from trunkline.testing.nats import NatsServer, nats_server
from trunkline.testing.repositories import add_commit, branches, git, make_bare, read_files
from trunkline_sandbox.adapters.forges.github import GitHubForge, GitHubOptions, github_forge
from trunkline_sandbox.adapters.git import GitProgram
from trunkline_sandbox.adapters.model.door import model_session
from trunkline_sandbox.model.patience import Patience
from trunkline_sandbox.ports import Remote
from trunkline_sandbox.settings import Settings
from trunkline_sandbox.wiring import assemble, outgoing, serving

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]

API: Final = ("installation", "token", "repo", "list", "create", "comments", "comment", "status")
OVER_GIT: Final = ("fetch-refs", "fetch", "push-refs", "push")
LIMITED: Final = ("403-rate", "403-secondary", "429")
FINAL: Final = ("401", "403", "404")
OWNERS: Final = {step: 100 + number for number, step in enumerate((*API, *OVER_GIT))}
"""One for each step: what GitHub limits is the account."""
BESIDE: Final = ("comments", "comment", "status")
"""Steps beside the pull request, which is there whatever becomes of them."""
HANDS: Final = 12
HURRY: Final = Patience(here=(0.02, 0.02, 0.05, 0.1), longest_here=3.0, first=0.2, most=0.5)
FOR_EVER: Final = 10**9


class HurriedGit(GitProgram):
    """Nobody tells git for how long a forge wants to be left alone; the minute that we guess is too long for a test."""

    async def fetch(self, remote: Remote, branch: str, bare: Path) -> str:
        try:
            return await super().fetch(remote, branch, bare)
        except Exhausted as error:
            raise Exhausted(error.message, code=error.code, retry_after=0.05) from None

    async def push(self, bare: Path, remote: Remote, commit: str, branch: str, expected: str = "") -> None:
        try:
            await super().push(bare, remote, commit, branch, expected)
        except Exhausted as error:
            raise Exhausted(error.message, code=error.code, retry_after=0.05) from None


@dataclass
class Hall:
    """Many repositories at one GitHub, and one sandbox service that works for them."""

    bus: Bus
    github: FakeGitHub
    root: Path
    template: Path

    async def given(self, repo: str, **fields: int) -> Carried:
        if not (self.root / f"{repo}.git").exists():
            shutil.copytree(self.template, self.root / f"{repo}.git")
        job = Carried(self.bus, new_id())
        asked = Assignment(repo=repo, prompt="Write it down.", **fields)
        facts = (TaskSubmitted(assignment=asked, submitted_by="ann", deadline_at=now()), TaskAssigned(pool="dev", attempt=1))
        await self.bus.log.append(job.subject("task"), Record(at=now(), cause="test", facts=facts), expect=0, id=new_id())
        await self.bus.work.put(WorkItem(tenant=TENANT, task=job.task, attempt=1, pool="dev", priority="P2"))
        return job

    async def over(self, job: Carried) -> RunSucceeded | RunFailed:
        while True:
            found = [fact for fact in await job.facts() if isinstance(fact, RunSucceeded | RunFailed)]
            if found:
                return found[0]
            await asyncio.sleep(0.1)

    def pulls(self, repo: str) -> list[str]:
        return [pull["head"]["ref"] for pull in self.github.pulls.get(repo, [])]


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


@asynccontextmanager
async def hall(server: NatsServer, folder: Path) -> AsyncIterator[Hall]:
    root, (private, public) = folder / "forge", keys()
    folder.chmod(0o755)
    template = make_bare(folder / "template", "acme/any", {"README": "any\n"})
    (folder / "app.pem").write_bytes(private)
    async with fake_github(root, App("12345", public, OWNERS)) as github, _forge(folder, github) as forge:
        values = {"nats_url": server.url, "data_dir": folder / "data", "agent": "command", "agent_command": "sh -c 'echo done > done.txt'"}
        settings = Settings.model_validate({**values, "forge": "github", "snapshot_days": 0, "unsafe_local": True})
        async with model_session() as session, connect(BusSettings.model_validate({"nats_url": server.url}), "sandbox") as bus:
            made = replace(assemble(settings, forge, session), git=HurriedGit(seconds=8, doubt=0.01), patience=HURRY)
            async with serving(bus, made, HANDS, outgoing(settings)):
                yield Hall(bus, github, root, template)


@asynccontextmanager
async def _forge(folder: Path, github: FakeGitHub) -> AsyncIterator[GitHubForge]:
    options = GitHubOptions(
        folder=folder / "credentials",
        api_url=github.api_url,
        app_id="12345",
        app_key_file=folder / "app.pem",
        comment=True,
        status=True,
        gap_s=0.0,
        doubt_s=0.01,
        call_s=4.0,
        looks_s=(0.01, 0.02, 0.05),
    )
    async with github_forge(options) as forge:
        yield forge


def headers(step: str, kind: str) -> dict[str, str]:
    """How long GitHub wants to be left alone, in the two ways that it says so; git hears of neither."""
    if step in OVER_GIT or kind not in LIMITED:
        return {}
    if kind == "403-rate":
        return {"x_ratelimit_remaining": "0", "x_ratelimit_reset": f"{time.time():.0f}"}
    return {"retry_after": "1"}


async def one_and_only(here: Hall, step: str, kind: str) -> str:
    """What is wrong, if anything is."""
    repo = f"{step}/{kind}"
    here.github.fail(step, kind, repo=repo, **headers(step, kind))
    job = await here.given(repo)
    end = await here.over(job)
    if isinstance(end, RunFailed):
        return f"{step}: {end.code} {end.error}"
    opened = await job.of(PullRequestOpened)
    waits, goes_on = await job.of(RunWaits), await job.of(RunGoesOn)
    checks = {
        "one pull request": here.pulls(repo) == [end.result.branch],
        "told once": [each.number for each in opened] == [1],
        "one branch": set(branches(here.root / f"{repo}.git")) == {"main", end.result.branch},
        "at most one comment": len(here.github.comments.get((repo, 1), [])) <= 1,
        "the fault came to pass": [fault.times for fault in here.github.faults if fault.repo == repo] == [0],
        "no wait stays open": len(waits) == len(goes_on),
    }
    return "; ".join(f"{step}: not {what}" for what, so in checks.items() if not so)


async def refused(here: Hall, step: str, kind: str) -> str:
    repo = f"{step}/{kind}-for-ever"
    here.github.fail(step, kind, FOR_EVER, repo=repo)
    end = await here.over(await here.given(repo))
    if step in BESIDE:
        return "" if isinstance(end, RunSucceeded) and len(here.pulls(repo)) == 1 else f"{step}: {end}"
    clear = isinstance(end, RunFailed) and not end.recoverable and len(end.error) > 20 and end.code not in ("BROKEN", "POISON")
    return "" if clear and here.pulls(repo) == [] else f"{step}: {end} {here.pulls(repo)}"


async def all_of(cells: list[asyncio.Future[str]], name: str) -> None:
    wrong = [said for cell in cells if (said := await cell)]
    print(f"{name}: {len(cells) - len(wrong)} of {len(cells)} cells ({100 * (len(cells) - len(wrong)) / len(cells):.0f} %)")
    assert wrong == []


def steps(kind: str) -> list[str]:
    """All of them in the long campaign; else a fifth, such that each step meets as many kinds."""
    every = (*API, *OVER_GIT)
    return list(every) if LONG else [step for number, step in enumerate(every) if (number + KINDS.index(kind)) % 5 == 0]


def together(kinds: Sequence[str]) -> list[tuple[str, ...]]:
    """Kinds that may share a hall, for in the short form no two of five in a row meet at one step; in the long form each has its own."""
    most = 1 if LONG else 5
    return [tuple(kinds[first : first + most]) for first in range(0, len(kinds), most)]


@pytest.mark.parametrize("kinds", together(KINDS), ids=" ".join)
async def test_one_fault_at_any_step_ends_in_exactly_one_pull_request(server: NatsServer, tmp_path: Path, kinds: tuple[str, ...]) -> None:
    async with hall(server, tmp_path) as here:
        cells = [one_and_only(here, step, kind) for kind in kinds for step in steps(kind)]
        await all_of([asyncio.ensure_future(cell) for cell in cells], " ".join(kinds))


@pytest.mark.parametrize("kinds", together(FINAL), ids=" ".join)
async def test_a_refusal_that_stays_ends_in_a_clear_failure_and_no_pull_request(
    server: NatsServer, tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    async with hall(server, tmp_path) as here:
        cells = [refused(here, step, kind) for kind in kinds for step in steps(kind)]
        await all_of([asyncio.ensure_future(cell) for cell in cells], f"{' '.join(kinds)} for ever")


def states(here: Hall, repo: str) -> list[str]:
    return [status["state"] for status in here.github.statuses if status["repo"] == repo]


async def test_a_commit_is_pending_until_its_pull_request_is_there(server: NatsServer, tmp_path: Path) -> None:
    async with hall(server, tmp_path) as here:
        assert isinstance(await here.over(await here.given("create/well")), RunSucceeded)
        assert states(here, "create/well") == ["pending", "success"]
        here.github.fail("create", "403", FOR_EVER, repo="create/ill")
        assert isinstance(await here.over(await here.given("create/ill")), RunFailed)
        async with asyncio.timeout(20):
            while states(here, "create/ill") != ["pending", "failure"]:  # noqa: ASYNC110 - GitHub is looked at, nobody tells
                await asyncio.sleep(0.05)


async def test_work_about_a_pull_request_goes_to_its_branch_and_not_to_main(server: NatsServer, tmp_path: Path) -> None:
    repo = "create/about"
    async with hall(server, tmp_path) as here:
        shutil.copytree(here.template, here.root / f"{repo}.git")
        there = here.root / f"{repo}.git"
        git(there, "branch", "feature", "main")
        add_commit(there, {"feature.txt": "new\n"}, "feature")
        ends = {end: {"ref": ref, "repo": {"full_name": repo}} for end, ref in (("head", "feature"), ("base", "main"))}
        page = f"{here.github.url}/{repo}/pull/1"
        here.github.pulls[repo] = [{"id": 1, "number": 1, "state": "open", "html_url": page, "title": "t", "body": "b", **ends}]
        end = await here.over(await here.given(repo, pull_request=1))
        assert isinstance(end, RunSucceeded)
        made = here.github.pulls[repo][1]
        assert (made["base"]["ref"], made["head"]["ref"], end.result.base) == ("feature", end.result.branch, "feature")
        assert set(read_files(there, end.result.branch)) == {"README", "feature.txt", "done.txt"}
