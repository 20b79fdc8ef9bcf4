"""GitHub's workflows as the relay asks for them: each failure says whether anything came of it, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.github_place import keys
from trunkline.contracts.dispatch import Outcome
from trunkline.contracts.errors import DomainError, NotFound
from trunkline.testing.fake_actions import by_event
from trunkline.testing.fake_github import App, FakeGitHub, fake_github
from trunkline.testing.nats import free_port
from trunkline_relay.adapters.workflows import GitHubWorkflows, Options, github_workflows
from trunkline_relay.ports import Start

REPO = "acme/shop"
SECRET = "omni_key_which_nobody_may_see"
PAYLOAD = {"agent_instance_id": "i", "prompt": "mend ütter", "omnara_api_key": SECRET, "branch_name": "main", "agent_type": "general"}
START = Start(REPO, "omnara_trigger", PAYLOAD)
QUICK: dict[str, Any] = {"gap_s": 0, "doubt_s": 0.01, "call_s": 1.0}


@asynccontextmanager
async def at_work(folder: Path, *, app: bool = False, **options: Any) -> AsyncIterator[tuple[FakeGitHub, GitHubWorkflows]]:
    (folder / "forge" / f"{REPO}.git").mkdir(parents=True)
    private, public = keys()
    (folder / "app.pem").write_bytes(private)
    async with fake_github(folder / "forge", App("12345", public, {"acme": 100}) if app else None) as github:
        account = {"app_id": "12345", "app_key_file": folder / "app.pem"} if app else {"token": github.user_token(REPO)}
        async with github_workflows(Options(**{"api_url": github.api_url, **account, **QUICK, **options})) as workflows:
            yield github, workflows


async def refused(workflows: GitHubWorkflows, start: Start = START) -> DomainError:
    with pytest.raises(DomainError) as found:
        await workflows.start(start)
    assert SECRET not in f"{found.value.message}{found.value.details}"
    return found.value


async def test_the_event_is_sent_with_the_headers_and_the_body_of_the_guide(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (github, workflows):
        await workflows.start(START)
        (seen,) = github.steps("dispatch")
    assert seen.body == {"event_type": "omnara_trigger", "client_payload": PAYLOAD}
    headers = seen.headers
    assert headers["Accept"] == "application/vnd.github.v3+json"
    assert headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Authorization"].startswith("Bearer ghp_")
    ours = {name.lower() for name in headers} - {"host", "user-agent", "accept-encoding", "content-length"}
    assert ours == {"accept", "x-github-api-version", "content-type", "authorization"}, "nothing else is said"
    assert SECRET not in repr(START)


@pytest.mark.parametrize(
    ("kind", "headers", "outcome", "status"),
    [
        ("403", {}, Outcome.REQUEST_FAILED, 403),
        ("404", {}, Outcome.REQUEST_FAILED, 404),
        ("422", {}, Outcome.REQUEST_FAILED, 422),
        ("429", {"retry_after": "7"}, Outcome.REQUEST_FAILED, 429),
        ("403-secondary", {}, Outcome.REQUEST_FAILED, 403),
        ("500", {}, Outcome.ERROR, 500),
        ("502", {}, Outcome.ERROR, 502),
        ("503", {"retry_after": "7"}, Outcome.ERROR, 503),
        ("reset", {}, Outcome.ERROR, None),
        ("reset-after", {}, Outcome.ERROR, None),
        ("garbage", {}, Outcome.ERROR, None),
        ("silent", {}, Outcome.TIMEOUT, None),
        ("silent-after", {}, Outcome.TIMEOUT, None),
    ],
)
async def test_each_failure_says_what_came_of_it(
    tmp_path: Path, kind: str, headers: dict[str, str], outcome: Outcome, status: int | None
) -> None:
    async with at_work(tmp_path, call_s=1.0 if outcome is Outcome.TIMEOUT else 20.0) as (github, workflows):
        github.fail("dispatch", kind, **headers)
        error = await refused(workflows)
        assert (error.details["outcome"], error.details.get("status")) == (outcome, status)
        assert error.details.get("retry_after") in (None, 7.0, 60.0)
        assert len(github.steps("dispatch")) == 1
        assert len(github.actions.sent) == (1 if kind.endswith("after") else 0)


async def test_a_credential_that_is_not_taken_is_replaced_once_and_then_refused(tmp_path: Path) -> None:
    async with at_work(tmp_path, app=True) as (github, workflows):
        github.fail("dispatch", "401")
        await workflows.start(START)
        assert (len(github.steps("token")), len(github.actions.sent)) == (2, 1)
        github.fail("dispatch", "401", times=9)
        error = await refused(workflows)
        assert (error.code, error.details["outcome"]) == ("FORGE_CREDENTIAL", Outcome.REQUEST_FAILED)
        assert error.details["status"] == 401
        assert len(github.steps("dispatch")) == 4


@pytest.mark.parametrize("repo", ["acme/a..b", "acme", "https://elsewhere.invalid/acme/shop"])
async def test_what_is_no_repository_there_is_refused_for_good(tmp_path: Path, repo: str) -> None:
    async with at_work(tmp_path) as (github, workflows):
        error = await refused(workflows, Start(repo, "omnara_trigger", PAYLOAD))
        assert (error.code, error.details["outcome"]) == ("REPO_INVALID", Outcome.REQUEST_FAILED)
        with pytest.raises(DomainError) as found:
            await workflows.cancel(repo, 1, None)
        assert found.value.details["outcome"] == Outcome.REQUEST_FAILED
        assert github.seen == []


async def test_whom_nobody_can_reach_was_sent_nothing(tmp_path: Path) -> None:
    for url in (f"http://127.0.0.1:{free_port()}", "http://nobody.invalid"):
        async with github_workflows(Options(api_url=url, token="ghp_x", gap_s=0, doubt_s=0)) as workflows:
            assert (await refused(workflows)).details["outcome"] == Outcome.CONNECTION_ERROR


@pytest.mark.parametrize(("kind", "outcome"), [("500", Outcome.CONNECTION_ERROR), ("403", Outcome.REQUEST_FAILED)])
async def test_without_a_token_nothing_was_sent(tmp_path: Path, kind: str, outcome: Outcome) -> None:
    async with at_work(tmp_path, app=True) as (github, workflows):
        github.fail("token", kind, times=9)
        assert (await refused(workflows)).details["outcome"] == outcome
        assert github.steps("dispatch") == []


async def test_without_any_credential_it_is_refused_in_words(tmp_path: Path) -> None:
    async with at_work(tmp_path, token="") as (github, workflows):
        error = await refused(workflows)
        assert (error.code, error.details["outcome"]) == ("FORGE_CREDENTIAL", Outcome.REQUEST_FAILED)
        assert github.seen == []


@pytest.mark.parametrize(
    ("event_type", "payload"),
    [
        ("x" * 101, PAYLOAD),
        ("", PAYLOAD),
        ("e", {**PAYLOAD, "prompt": "ü" * 33_000}),
        ("e", {f"key{number}": "" for number in range(11)}),
    ],
    ids=["an event type of 101 characters", "no event type", "too much", "eleven keys"],
)
async def test_what_github_does_not_take_is_refused_with_its_own_words(tmp_path: Path, event_type: str, payload: dict[str, str]) -> None:
    async with at_work(tmp_path) as (github, workflows):
        error = await refused(workflows, Start(REPO, event_type, payload))
        assert (error.details["outcome"], error.details["status"]) == (Outcome.REQUEST_FAILED, 422)
        assert "GitHub says" in error.message
        assert github.actions.sent == []


async def test_the_most_that_github_takes_is_taken(tmp_path: Path) -> None:
    room = 65_535 - len(json.dumps({**PAYLOAD, "prompt": ""}, ensure_ascii=False).encode())
    async with at_work(tmp_path) as (github, workflows):
        await workflows.start(Start(REPO, "e" * 100, {**PAYLOAD, "prompt": "ü" * (room // 2)}))
        assert len(github.actions.sent) == 1


async def test_a_token_of_an_app_may_write_contents_and_actions_and_nothing_else(tmp_path: Path) -> None:
    async with at_work(tmp_path, app=True) as (github, workflows):
        await workflows.start(START)
        await workflows.start(Start(REPO, "omnara_trigger", PAYLOAD, installation_id=100))
        known, given = (seen.body["permissions"] for seen in github.steps("token"))
        assert known == given == {"contents": "write", "actions": "write"}
        assert len(github.steps("installation")) == 1, "an installation that was named is not asked for"


async def test_an_installation_of_somebody_else_opens_nothing(tmp_path: Path) -> None:
    async with at_work(tmp_path, app=True) as (github, workflows):
        error = await refused(workflows, Start(REPO, "omnara_trigger", PAYLOAD, installation_id=999))
        assert error.details["outcome"] == Outcome.REQUEST_FAILED
        assert github.actions.sent == []


async def test_a_repository_that_was_renamed_is_found_where_it_is_now(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (github, workflows):
        github.renamed["acme/store"] = REPO
        await workflows.start(Start("acme/store", "omnara_trigger", PAYLOAD))
        assert [sent.repo for sent in github.actions.sent] == [REPO]


async def test_runs_are_listed_by_event_and_moment_and_shown_one_by_one(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (github, workflows):
        github.actions.run_name = by_event
        github.actions.add(REPO, "a push", event="push")
        old = github.actions.add(REPO, "old")
        old["created_at"] = "2020-01-01T00:00:00Z"
        await workflows.start(START)
        runs = await listed(workflows)
        assert [run.title for run in runs] == ["omnara_trigger"]
        await github.actions.advance(runs[0].run_id, "completed", "success")
        shown = await workflows.run(REPO, runs[0].run_id, None)
        assert (shown.status, shown.conclusion, shown.url) == ("completed", "success", runs[0].url)


async def test_runs_of_many_pages_are_listed_whole_and_of_more_than_github_shows_it_is_said_that_they_are_not(tmp_path: Path) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)
    async with at_work(tmp_path) as (github, workflows):
        numbers = [github.actions.add(REPO, f"run {number}")["id"] for number in range(130)]
        listed = await workflows.runs(REPO, since, None)
        assert ([run.run_id for run in listed.runs], listed.whole) == (numbers[::-1], True)
        assert len(github.steps("runs")) == 2
        for number in range(871):
            github.actions.add(REPO, f"later {number}")
        listed = await workflows.runs(REPO, since, None)
        assert (len(listed.runs), listed.whole) == (1000, False)


async def test_a_run_of_another_event_or_of_another_repository_is_shown_as_none_of_ours(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (github, workflows):
        for run in (github.actions.add(REPO, "Deploy", event="push"), github.actions.add("acme/other", "omnara_trigger")):
            with pytest.raises(NotFound):
                await workflows.run(REPO, run["id"], None)


async def test_a_run_is_cancelled_and_one_that_is_over_counts_as_cancelled(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (github, workflows):
        await workflows.start(START)
        (run,) = await listed(workflows)
        await workflows.cancel(REPO, run.run_id, None)
        assert (await workflows.run(REPO, run.run_id, None)).conclusion == "cancelled"
        await workflows.cancel(REPO, run.run_id, None)
        with pytest.raises(DomainError) as found:
            await workflows.cancel(REPO, 1, None)
        assert found.value.details["outcome"] == Outcome.REQUEST_FAILED
        assert len(github.steps("cancel-run")) == 3


async def listed(workflows: GitHubWorkflows) -> list[Any]:
    async with asyncio.timeout(5):
        while True:
            if runs := (await workflows.runs(REPO, datetime.now(UTC) - timedelta(minutes=1), None)).runs:
                return list(runs)
            await asyncio.sleep(0.01)
