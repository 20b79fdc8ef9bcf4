"""What the forge GitHub does beyond what every forge does: one pull request for a head, patience, comments, addresses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conformance.github_place import BRANCH, CALC, Hub, hub, insist
from trunkline.contracts.errors import Conflict, Denied, DomainError, Exhausted, Invalid, NotFound, Unavailable, Unsupported
from trunkline.github.failures import Reply, wait_told
from trunkline.github.pacing import MOST_LANES, Pace
from trunkline.github.text import api_of, clone_url, place, web_of
from trunkline.testing.fake_github import CHANGES, fake_github
from trunkline.testing.forge_faults import KINDS
from trunkline.testing.repositories import add_commit, branches, git
from trunkline_sandbox.adapters.forges.github import GitHubForge, GitHubOptions, github_forge
from trunkline_sandbox.adapters.forges.github.text import status_text
from trunkline_sandbox.ports import Access


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Hub]:
    async with hub(tmp_path) as made:
        made.already_pushed()
        yield made


async def test_a_pull_request_has_the_text_and_the_ends_that_were_asked_for(here: Hub) -> None:
    opened = await here.open()
    pull = here.github.pulls["acme/calc"][0]
    assert (opened.number, opened.url) == (1, f"{here.github.url}/acme/calc/pull/1")
    assert (pull["title"], pull["body"], pull["head"]["ref"], pull["base"]["ref"]) == ("Fix it", here.spec().body, BRANCH, "main")
    assert here.github.steps("edit") == []


async def test_one_that_somebody_closed_is_not_opened_again(here: Hub) -> None:
    first = await here.open()
    here.github.end_pull("acme/calc", 1)
    assert await here.open() == first
    assert len(here.github.pulls["acme/calc"]) == 1


async def test_work_about_a_pull_request_begins_on_its_branch_while_that_is_open_and_here(here: Hub) -> None:
    await here.open()
    assert await here.forge.branch_for(CALC, 1) == BRANCH
    pull = here.github.pulls["acme/calc"][0]
    for repo in (None, {"full_name": "evil/calc"}):
        pull["head"] = {"ref": BRANCH, "repo": repo}
        with pytest.raises(Denied) as refused:
            await here.forge.branch_for(CALC, 1)
        assert refused.value.code == "FORK_PULL_REQUEST"
    here.github.end_pull("acme/calc", 1)
    assert await here.forge.branch_for(CALC, 1) == "main"


async def test_of_several_the_newest_open_one_counts(here: Hub) -> None:
    await here.open()
    here.github.end_pull("acme/calc", 1)
    for number, state in ((2, "open"), (3, "closed")):
        pull = here.github.pulls["acme/calc"][0] | {"number": number, "state": state}
        here.github.pulls["acme/calc"].append(pull)
    assert (await here.open()).number == 2


@pytest.mark.parametrize(
    "head", [{"ref": BRANCH, "repo": {"full_name": "evil/calc"}}, {"ref": "other", "repo": {"full_name": "acme/calc"}}]
)
async def test_a_pull_request_of_another_branch_or_a_fork_is_not_taken_for_ours(here: Hub, head: dict[str, object]) -> None:
    await here.open()
    other = here.github.pulls["acme/calc"].pop() | {"head": head, "base": {"ref": "other"}}
    here.github.pulls["acme/calc"].append(other)
    assert (await here.open()).number == 2


@pytest.mark.parametrize("blind", [1, 2, 3])
async def test_one_that_exists_and_is_not_listed_yet_is_waited_for(here: Hub, blind: int) -> None:
    await here.open()
    here.github.blind_lists = blind
    if blind < 3:
        assert (await here.open()).number == 1
    else:
        with pytest.raises(Unavailable) as refused:
            await here.open()
        assert refused.value.code == "PULL_REQUEST_NOT_SEEN"
    assert len(here.github.pulls["acme/calc"]) == 1


async def test_carriers_that_open_at_once_open_one(here: Hub) -> None:
    async with asyncio.TaskGroup() as group:
        opened = [group.create_task(here.open()) for _ in range(8)]
    assert {each.result().number for each in opened} == {1}
    assert len(here.github.pulls["acme/calc"]) == 1


async def test_a_branch_that_is_not_seen_yet_is_tried_again_later(here: Hub) -> None:
    git(here.there, "update-ref", "-d", f"refs/heads/{BRANCH}")
    with pytest.raises(Unavailable) as refused:
        await here.open()
    assert refused.value.code == "BRANCH_NOT_SEEN"


async def test_what_github_says_of_a_refusal_is_repeated(here: Hub) -> None:
    git(here.there, "update-ref", f"refs/heads/{BRANCH}", "main")
    with pytest.raises(Invalid, match=f"No commits between main and {BRANCH}"):
        await here.open()


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [("401", Denied, "FORGE_CREDENTIAL"), ("403", Denied, "FORGE_DENIED"), ("404", NotFound, "REPO_NOT_FOUND"),
     ("409", Conflict, "FORGE_CONFLICT"), ("422", Invalid, "FORGE_REFUSED"),
     ("500", Unavailable, "FORGE_UNAVAILABLE"), ("silent", Unavailable, "FORGE_UNAVAILABLE"),
     ("reset", Unavailable, "FORGE_UNAVAILABLE")],
)  # fmt: skip
@pytest.mark.parametrize("step", ["repo", "list", "create"])
async def test_a_refusal_that_stays_is_told_and_nothing_is_made(
    tmp_path: Path, step: str, kind: str, error: type[DomainError], code: str
) -> None:
    async with hub(tmp_path, hurried=kind == "silent") as here:
        here.already_pushed()
        here.github.fail(step, kind, times=99)
        with pytest.raises(error) as refused:
            await here.open()
        assert refused.value.code == code
        assert not here.github.pulls.get("acme/calc")
        assert len(here.github.steps(step)) <= 2


@pytest.mark.parametrize("kind", ["403", "403-secondary", "429"])
async def test_nothing_is_asked_before_the_moment_that_github_named(here: Hub, kind: str) -> None:
    here.github.fail("list", kind, retry_after="1")
    with pytest.raises(Exhausted) as refused:
        await here.open()
    told, asked = time.monotonic(), len(here.github.seen)
    wait = refused.value.details["retry_after"]
    assert isinstance(wait, float)
    assert 0 < wait <= 1
    while time.monotonic() < told + wait - 0.05:
        with pytest.raises(Exhausted):
            await here.open()
        await asyncio.sleep(0.05)
    assert len(here.github.seen) == asked
    await asyncio.sleep(0.1)
    assert (await here.open()).number == 1
    assert here.github.too_early == []


async def test_one_who_is_held_up_holds_up_nobody_else(here: Hub) -> None:
    here.github.fail("list", "429", retry_after="60")
    with pytest.raises(Exhausted):
        await here.open()
    other = Access("acme/calc", here.github.user_token("acme/calc"))
    assert (await here.forge.open_pull_request(other, here.spec())).number == 1


NOW = 1_700_000_000.0
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("status", "headers", "message", "wait"),
    [
        (429, {}, "", 60),
        (429, {"retry-after": "7"}, "", 7),
        (403, {"retry-after": "0"}, "", 0),
        (503, {"retry-after": "30"}, "", 30),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000100"}, "", 101),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000100", "date": "Tue, 14 Nov 2023 22:14:20 GMT"}, "", 41),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, "", 1),
        (403, {"x-ratelimit-remaining": "0"}, "", 60),
        (403, {}, "You have exceeded a secondary rate limit.", 60),
        (403, {"x-ratelimit-remaining": "4999"}, "You have exceeded a secondary rate limit.", 60),
        (429, {"retry-after": "9" * 40}, "", 60),
        (429, {"retry-after": "-1"}, "", 60),
        (429, {"retry-after": "Fri, 31 Dec 2027 23:59:59 GMT"}, "", 60),
        (403, {"retry-after": "999999999"}, "", 86_400),
        (403, {"x-ratelimit-remaining": "12"}, "Resource not accessible by integration", None),
        (404, {"retry-after": "5"}, "", None),
        (500, {}, "", None),
        (422, {"x-ratelimit-remaining": "0"}, "", None),
    ],
)
def test_how_long_to_be_silent_is_read_as_github_means_it(status: int, headers: dict[str, str], message: str, wait: float | None) -> None:
    reply = Reply(status, {"date": DATE, **headers}, b'{"message": "%s"}' % message.encode())
    assert wait_told(reply, NOW) == wait


def test_a_wait_that_github_does_not_name_grows_until_it_was_enough() -> None:
    time_now = [0.0]
    pace = Pace(now=lambda: time_now[0])
    waits = []
    for _ in range(6):
        waits.append(pace.hold("a", 60, told=False))
        time_now[0] += waits[-1]
    assert waits == [60, 120, 240, 480, 900, 900]
    pace.welcome("a")
    assert pace.hold("a", 60, told=False) == 60
    with pytest.raises(Exhausted):
        pace.check("a")
    pace.check("b")


def test_credentials_that_are_not_used_any_more_are_forgotten_and_holds_are_not() -> None:
    pace = Pace()
    pace.hold("held", 600)
    for number in range(MOST_LANES * 2):
        pace.check(f"token/{number}")
    assert len(pace._lanes) <= MOST_LANES
    with pytest.raises(Exhausted):
        pace.check("held")


async def test_changes_of_one_account_come_one_at_a_time_with_a_pause(tmp_path: Path) -> None:
    async with hub(tmp_path, gap_s=0.2) as here:
        for number in range(4):
            git(here.there, "branch", f"work-{number}", "main")
            add_commit(here.there, {"calc.py": f"{number}\n"}, f"work-{number}")
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(here.forge.open_pull_request(CALC, here.spec(head=f"work-{number}")))
        times = [seen.at for seen in here.github.steps(*CHANGES)]
        assert len(times) == 4
        assert all(later - sooner >= 0.2 for sooner, later in pairwise(times))


async def test_comment_and_status_are_made_once_where_they_are_wanted(tmp_path: Path) -> None:
    async with hub(tmp_path, comment=True, status=True) as here:
        here.already_pushed()
        for _ in range(2):
            await here.open()
        (comment,) = here.github.comments["acme/calc", 1]
        assert comment["body"].startswith("This work cost US$ 0.42. [How it went](http://trunkline.example/tasks/0)")
        status = here.github.statuses[0]
        assert (status["sha"], status["state"], status["context"]) == (here.commit, "success", "trunkline")
        assert status["target_url"] == "http://trunkline.example/tasks/0"


async def test_a_status_is_told_while_the_work_goes_on(tmp_path: Path) -> None:
    async with hub(tmp_path, status=True) as here:
        here.already_pushed()
        await here.forge.tell_status(CALC, here.commit, "pending", "An agent works on it: http://trunkline.example/tasks/0")
        (status,) = here.github.statuses
        assert (status["state"], status["description"]) == ("pending", "An agent works on it")


async def test_neither_is_made_where_nobody_wants_it(here: Hub) -> None:
    await here.open()
    await here.forge.tell_status(CALC, here.commit, "pending", "At work")
    assert here.github.steps("comment", "comments", "status") == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_comment_or_a_status_that_fails_fails_nothing(tmp_path: Path, kind: str) -> None:
    silent = kind.startswith("silent")
    async with hub(tmp_path, comment=True, status=True, call_s=0.3 if silent else 20.0) as here:
        here.already_pushed()
        for step in ("comment", "status"):
            here.github.fail(step, kind, times=99)
        # Who waits so short for an answer may miss a good one too, and asks again as a carrier does.
        assert (await (insist(here.open) if silent else here.open())).number == 1
        assert len(here.github.comments.get(("acme/calc", 1), [])) <= 1


async def test_an_enterprise_server_is_spoken_to_below_its_own_address(tmp_path: Path) -> None:
    async with hub(tmp_path, app=True, prefix="/api/v3") as here:
        assert (await here.carried()).number == 1
        assert all(seen.path.startswith("/api/v3/") for seen in here.github.seen if ".git/" not in seen.path)


async def test_a_repository_that_was_renamed_is_found_under_its_new_name(here: Hub) -> None:
    here.github.renamed["acme/old"] = "acme/calc"
    assert (await here.forge.open_pull_request(Access("acme/old"), here.spec(repo="acme/old"))).number == 1


async def test_no_redirect_takes_the_credential_to_another_host(here: Hub, tmp_path: Path) -> None:
    async with fake_github(tmp_path / "evil") as evil:
        for status in ("301", "302", "307", "308"):
            here.github.fail("repo", status, times=2, location=f"{evil.url}/repos/acme/calc")
            with pytest.raises(Invalid):
                await here.open()
        assert evil.seen == []


@pytest.mark.parametrize("way", ["archived", "read"])
async def test_what_cannot_be_pushed_to_is_refused_before_any_work(here: Hub, way: str) -> None:
    token = here.github.user_token("acme/calc", right="read" if way == "read" else "write")
    here.github.archived |= {"acme/calc"} if way == "archived" else set()
    with pytest.raises(Denied) as refused:
        async with here.forge.remote(Access("acme/calc", token)):
            pass
    assert refused.value.code == ("REPO_ARCHIVED" if way == "archived" else "REPO_READ_ONLY")


async def test_a_branch_with_other_work_on_it_is_left_alone(here: Hub) -> None:
    other = add_commit(here.there, {"calc.py": "theirs\n"}, BRANCH)
    with pytest.raises(Conflict) as refused:
        await here.push()
    assert refused.value.code == "BRANCH_TAKEN"
    assert branches(here.there)[BRANCH] == other


async def test_pages_are_githubs_own(here: Hub) -> None:
    with pytest.raises(Unsupported):
        await here.forge.show_pull_request("acme/calc", 1)


async def test_a_page_of_a_proxy_is_no_answer(here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here.github, "_repository", lambda repo, grant: ["<html>"])
    with pytest.raises(Unavailable) as refused:
        await here.open()
    assert refused.value.code == "FORGE_UNINTELLIGIBLE"


@pytest.mark.parametrize("address", ["", "ftp://x", "https://", "https://u:p@x", "https://x?y=1", "nonsense", "https://[x"])
async def test_what_is_no_address_of_an_api_is_refused_at_the_start(tmp_path: Path, address: str) -> None:
    with pytest.raises(Invalid) as refused:
        async with github_forge(GitHubOptions(tmp_path, api_url=address)):
            pass
    assert refused.value.code == "FORGE_NOT_CONFIGURED"


@pytest.mark.parametrize(
    ("api", "web"),
    [("https://api.github.com", "https://github.com"), ("https://ghe.example/api/v3", "https://ghe.example"),
     ("https://ghe.example:8443/api/v3/", "https://ghe.example:8443"), ("https://api.acme.ghe.com", "https://acme.ghe.com")],
)  # fmt: skip
def test_where_repositories_are_follows_from_where_the_api_is(api: str, web: str) -> None:
    assert str(web_of(api_of(api))) == web


def test_a_repository_is_named_shortly_or_by_its_address_at_this_github() -> None:
    web = web_of(api_of("https://api.github.com"))
    for said in ("acme/.github", "acme/.github.git", "https://github.com/acme/.github", "https://github.com/acme/.github.git/"):
        assert place(said, web).path == "acme/.github"
    strange = """https://evil.example/acme/calc http://github.com/acme/calc https://github.com@evil.example/a/b git@github.com:a/b
        https://x:y@github.com/a/b https://github.com/a/b/pulls https://github.com/a/b?x https://github.com:1/a/b"""
    for said in strange.split():
        with pytest.raises(Invalid):
            place(said, web)


def test_git_is_led_to_no_other_host_whatever_the_answer_says() -> None:
    web = web_of(api_of("https://api.github.com"))
    spot = place("acme/calc", web)
    assert clone_url("https://github.com/acme/New.git", spot, web) == "https://github.com/acme/New.git"
    for told in (
        "",
        "https://evil.example/acme/calc.git",
        "http://github.com/acme/calc.git",
        "https://u:p@github.com/a/b",
        "file:///etc",
        "::",
    ):
        assert clone_url(told, spot, web) == "https://github.com/acme/calc.git"


def test_a_status_is_as_short_as_github_wants_it() -> None:
    assert status_text("At work: https://x.example/y") == ("At work", "https://x.example/y")
    text, link = status_text("word " * 100)
    assert (len(text), link) == (140, "")


def test_the_forge_has_its_name() -> None:
    assert GitHubForge.name == "github"
