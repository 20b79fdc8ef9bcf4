"""A GitHub App's tokens: few, narrow, never about to end, and told in words when there can be none."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.conformance.github_place import CALC, Hub, hub, keys
from trunkline.auth.tokens import app_assertion
from trunkline.contracts.errors import Denied, DomainError, Invalid, NotFound, Unavailable
from trunkline.testing.fake_github import App, fake_github
from trunkline.testing.repositories import make_bare
from trunkline_sandbox.adapters.forges.github import GitHubForge, GitHubOptions, github_forge
from trunkline_sandbox.ports import Access


async def at_work(here: Hub, repo: str = "acme/calc") -> None:
    async with here.forge.remote(Access(repo)):
        pass


async def test_one_token_serves_until_it_is_about_to_end(tmp_path: Path) -> None:
    async with hub(tmp_path, app=True) as here:
        await here.carried()
        await at_work(here)
        assert len(here.github.steps("token")) == len(here.github.steps("installation")) == 1


@pytest.mark.parametrize(("minutes", "asked"), [(6, 1), (5, 2), (4, 2)])
async def test_a_token_is_renewed_five_minutes_before_its_end(tmp_path: Path, minutes: int, asked: int) -> None:
    async with hub(tmp_path, app=True) as here:
        here.github.token_s = minutes * 60.0
        await at_work(here)
        here.github.token_s = 3600.0
        for _ in range(3):
            await at_work(here)
        assert len(here.github.steps("token")) == asked


async def test_a_token_says_one_repository_and_no_more_rights_than_needed(tmp_path: Path) -> None:
    async with hub(tmp_path, app=True) as here:
        await at_work(here)
        (asked,) = here.github.steps("token")
        assert asked.body == {"repositories": ["calc"], "permissions": {"contents": "write", "pull_requests": "write"}}


async def test_rights_for_comments_and_statuses_are_asked_for_where_they_are_wanted(tmp_path: Path) -> None:
    async with hub(tmp_path, app=True, comment=True, status=True) as here:
        await at_work(here)
        assert set(here.github.steps("token")[0].body["permissions"]) == {"contents", "pull_requests", "issues", "statuses"}


async def test_many_who_need_a_token_at_once_fetch_one(tmp_path: Path) -> None:
    async with hub(tmp_path, app=True) as here:
        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(at_work(here))
        assert len(here.github.steps("token")) == 1


async def test_many_who_need_a_token_hear_of_one_failure(tmp_path: Path) -> None:
    async with hub(tmp_path, app=True) as here:
        here.github.fail("token", "500", times=99)
        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(refused(here)) for _ in range(20)]
        assert {each.result().code for each in tries} == {"FORGE_UNAVAILABLE"}
        assert len(here.github.steps("token")) == 1


async def test_who_gives_up_waiting_takes_nobody_with_him(tmp_path: Path) -> None:
    async with hub(tmp_path, app=True) as here:
        here.github.fail("token", "silent")
        first = asyncio.create_task(at_work(here))
        for _ in range(500):
            await asyncio.sleep(0 if here.github.steps("token") else 0.02)
        second = asyncio.create_task(at_work(here))
        await asyncio.sleep(0.05)
        first.cancel()
        await second
        assert len(here.github.steps("token")) == 2


async def test_a_token_that_was_revoked_is_replaced_once(tmp_path: Path) -> None:
    async with hub(tmp_path, app=True) as here:
        await at_work(here)
        here.github.grants.clear()
        await here.carried()
        assert len(here.github.steps("token")) == 2


async def test_each_repository_has_a_token_of_its_own(tmp_path: Path) -> None:
    async with hub(tmp_path, app=True) as here:
        make_bare(here.root, "acme/other", {"a": "b"})
        await at_work(here)
        await at_work(here, "acme/other")
        assert [seen.body["repositories"] for seen in here.github.steps("token")] == [["calc"], ["other"]]


@pytest.mark.parametrize("repo", ["acme/nothing", "nobody/calc"])
async def test_an_app_that_is_not_installed_says_so(tmp_path: Path, repo: str) -> None:
    async with hub(tmp_path, app=True) as here:
        with pytest.raises(NotFound, match="install it there") as refused:
            await at_work(here, repo)
        assert refused.value.code == "APP_NOT_INSTALLED"
        assert len(here.github.steps("installation")) == 2


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ({"contents": "read", "pull_requests": "write"}, None),
        ({"contents": "write"}, None),
        ({"contents": "write", "pull_requests": "write", "workflows": "write"}, {"contents", "pull_requests", "workflows"}),
    ],
)
async def test_what_an_app_may_do_decides_what_is_asked_for(tmp_path: Path, granted: dict[str, str], asked: set[str] | None) -> None:
    private, public = keys()
    (tmp_path / "key").write_bytes(private)
    make_bare(tmp_path / "forge", "acme/calc", {"a": "b"})
    async with fake_github(tmp_path / "forge", App("7", public, {"acme": 1}, granted)) as github:
        options = GitHubOptions(tmp_path / "c", github.api_url, app_id="7", app_key_file=tmp_path / "key", doubt_s=0)
        async with github_forge(options) as forge:
            if asked is None:
                with pytest.raises(Denied) as refused:
                    await first_token(forge)
                assert refused.value.code == "APP_LACKS_RIGHTS"
            else:
                await first_token(forge)
                assert set(github.steps("token")[0].body["permissions"]) == asked


async def test_a_key_of_another_app_is_told_as_a_bad_credential(tmp_path: Path) -> None:
    _, public = keys()
    keys.cache_clear()
    private, _ = keys()
    (tmp_path / "key").write_bytes(private)
    make_bare(tmp_path / "forge", "acme/calc", {"a": "b"})
    async with fake_github(tmp_path / "forge", App("7", public, {"acme": 1})) as github:
        options = GitHubOptions(tmp_path / "c", github.api_url, app_id="7", app_key_file=tmp_path / "key", doubt_s=0)
        async with github_forge(options) as forge:
            with pytest.raises(Denied) as refused:
                await first_token(forge)
        assert refused.value.code == "FORGE_CREDENTIAL"
        assert len(github.seen) == 2


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"app_id": "7"}, "FORGE_NOT_CONFIGURED"),
        ({"app_key_file": Path("/nonexistent")}, "FORGE_NOT_CONFIGURED"),
        ({"app_id": "7", "app_key_file": Path("/nonexistent")}, "APP_KEY_UNREADABLE"),
    ],
)
async def test_half_an_app_is_refused_at_the_start(tmp_path: Path, options: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        async with github_forge(GitHubOptions(tmp_path, **options)):  # type: ignore[arg-type]
            pass
    assert refused.value.code == code


@pytest.mark.parametrize("key", ["", "no key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "public"])
def test_what_is_no_private_key_is_refused_and_not_repeated(key: str) -> None:
    said = keys()[1].decode() if key == "public" else key
    with pytest.raises(Invalid) as refused:
        app_assertion("7", said, time.time())
    assert refused.value.code == "APP_KEY_UNREADABLE"
    assert not said or said not in str(refused.value)


async def test_without_any_credential_the_callers_own_is_needed(tmp_path: Path) -> None:
    make_bare(tmp_path / "forge", "acme/calc", {"a": "b"})
    async with fake_github(tmp_path / "forge") as github, github_forge(GitHubOptions(tmp_path / "c", github.api_url, doubt_s=0)) as forge:
        with pytest.raises(Denied) as refused:
            await first_token(forge)
        assert refused.value.code == "FORGE_CREDENTIAL"
        async with forge.remote(Access("acme/calc", github.user_token("acme/calc"))):
            pass


@pytest.mark.parametrize("token", ["a\nb", "a b", "ä", "\x00", "x" * 1001])
async def test_what_cannot_be_a_token_is_refused_and_not_repeated(tmp_path: Path, token: str) -> None:
    async with github_forge(GitHubOptions(tmp_path)) as forge:
        with pytest.raises(Invalid) as refused:
            async with forge.remote(Access("acme/calc", token)):
                pass
        assert token not in str(refused.value)


async def first_token(forge: GitHubForge) -> None:
    async with forge.remote(CALC):
        pass


async def refused(here: Hub) -> DomainError:
    with pytest.raises(Unavailable) as found:
        await at_work(here)
    return found.value
