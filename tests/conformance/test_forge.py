"""What every forge promises: remotes that git can use, one pull request for a head, pages; run on each forge we have."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from trunkline.contracts.errors import DomainError, Invalid, NotFound
from trunkline.testing.fake_github import fake_github
from trunkline.testing.repositories import add_commit, git, make_bare, tip
from trunkline_sandbox.adapters.forges.github import GitHubOptions, github_forge
from trunkline_sandbox.adapters.forges.local import LocalForge
from trunkline_sandbox.adapters.git import GitProgram
from trunkline_sandbox.ports import Access, Forge, PullRequestSpec

URL = "http://127.0.0.1:8787"
CALC = Access("acme/calc")


@dataclass
class Place:
    """A forge with one repository, `acme/calc`, that has a branch `work` to be merged."""

    forge: Forge
    root: Path
    bare: Path

    def spec(self, head: str = "work", **changes: str) -> PullRequestSpec:
        fields = {"repo": "acme/calc", "base": "main", "head": head, "title": "Fix it", "body": "As asked.", "commit": tip(self.bare, head)}
        return PullRequestSpec(**{**fields, **changes})

    def branch(self, name: str) -> None:
        git(self.bare, "branch", name, "main")
        add_commit(self.bare, {"calc.py": f"# {name}\n"}, name)

    async def reached(self, repo: str) -> str:
        """The address by which git would reach it."""
        async with self.forge.remote(Access(repo)) as remote:
            return remote.url


def with_calc(root: Path) -> Path:
    return make_bare(root, "acme/calc", {"calc.py": "one\n", "README": "calc\n"})


@pytest.fixture
def local(tmp_path: Path) -> Place:
    root = tmp_path / "forge"
    here = Place(LocalForge(root, URL), root, with_calc(root))
    here.branch("work")
    return here


@pytest.fixture(params=["local", "github"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "local":
        yield request.getfixturevalue("local")
        return
    root = tmp_path / "forge"
    bare = with_calc(root)
    async with fake_github(root) as hub:
        token = hub.user_token("acme/calc")
        options = GitHubOptions(tmp_path / "credentials", hub.api_url, token=token, gap_s=0, doubt_s=0, looks_s=(0, 0))
        async with github_forge(options) as forge:
            here = Place(forge, root, bare)
            here.branch("work")
            yield here


async def test_a_remote_is_fetched_from_and_pushed_to(place: Place, tmp_path: Path) -> None:
    git_program, bare = GitProgram(seconds=30), tmp_path / "job/bare"
    async with place.forge.remote(CALC) as remote:
        commit = await git_program.fetch(remote, "work", bare)
        await git_program.push(bare, remote, commit, "trunkline/copy")
    assert commit == tip(place.bare, "work") == tip(place.bare, "trunkline/copy")


async def test_the_suffix_that_git_allows_is_allowed(place: Place) -> None:
    assert await place.reached("acme/calc.git") == await place.reached("acme/calc")


async def test_a_repository_that_is_not_there_is_not_found(place: Place) -> None:
    (place.root / "acme/plain.git").mkdir()
    for repo in ("acme/nothing", "nobody/calc", "acme/plain"):
        with pytest.raises(NotFound) as refused:
            await place.reached(repo)
        assert refused.value.code == "REPO_NOT_FOUND"


@pytest.mark.parametrize(
    "repo",
    ["", "calc", "acme/", "/calc", "acme/../calc", "../acme/calc", "acme/..", "a b/c", "acme/calc/hooks", "acme/$(id)", "acme/c\n",
     "acme/c\0", "-o/calc", "acme/-x", ".git/calc", "acme/.git", "x.git/calc", "a/" + "n" * 300, "äcme/calc"],
)  # fmt: skip
async def test_what_is_no_repository_name_is_refused_before_anything_is_looked_up(place: Place, repo: str) -> None:
    with pytest.raises(Invalid) as refused:
        await place.reached(repo)
    assert refused.value.code == "REPO_INVALID"


async def test_a_link_does_not_lead_out_of_the_forge(local: Place, tmp_path: Path) -> None:
    (local.root / "acme/secret.git").symlink_to(make_bare(tmp_path / "elsewhere", "own/secret", {"a": "b"}))
    with pytest.raises(NotFound):
        await local.reached("acme/secret")


async def test_pull_requests_are_numbered_from_one_and_have_an_address(place: Place) -> None:
    place.branch("other")
    first = await place.forge.open_pull_request(CALC, place.spec())
    second = await place.forge.open_pull_request(CALC, place.spec("other"))
    assert (first.number, second.number) == (1, 2)
    assert first.url.startswith("http://127.0.0.1:")


async def test_a_head_has_one_pull_request_however_often_it_is_opened(place: Place) -> None:
    first = await place.forge.open_pull_request(CALC, place.spec())
    assert await place.forge.open_pull_request(Access("acme/calc.git"), place.spec(title="Again", repo="acme/calc.git")) == first


async def test_a_status_may_be_told_to_any_forge(place: Place) -> None:
    await place.forge.tell_status(CALC, tip(place.bare, "work"), "pending", "At work")
    assert (await place.forge.open_pull_request(CALC, place.spec())).number == 1, "and nothing else came of it"


async def test_what_was_asked_first_stands_on_the_page(local: Place) -> None:
    opened = await local.forge.open_pull_request(CALC, local.spec())
    await local.forge.open_pull_request(CALC, local.spec(title="Again"))
    assert opened.url == f"{URL}/forge/local/acme/calc/pulls/1"
    assert (await local.forge.show_pull_request("acme/calc", 1)).title == "Fix it"


async def test_who_goes_on_with_it_is_named_on_the_page_once(local: Place) -> None:
    first, second = "a" * 32, "b" * 32
    await local.forge.open_pull_request(CALC, local.spec(body=f"As asked.\n\nTrunkline-Task: {first}\n", task=first))
    for _ in range(2):
        await local.forge.open_pull_request(CALC, local.spec(task=second, note="Continued."))
    body = (await local.forge.show_pull_request("acme/calc", 1)).body
    assert body == f"As asked.\n\nContinued.\n\nTrunkline-Task: {first}\nTrunkline-Task: {second}\n"
    assert [path.name for path in (local.bare / "trunkline" / "pulls").iterdir()] == ["1.json"]


async def test_a_page_shows_what_the_branch_changed_and_nothing_that_came_to_the_base_since(local: Place) -> None:
    await local.forge.open_pull_request(CALC, local.spec())
    add_commit(local.bare, {"README": "changed meanwhile\n"})
    page = await local.forge.show_pull_request("acme/calc", 1)
    assert (page.repo, page.base, page.head, page.body, page.cut) == ("acme/calc", "main", "work", "As asked.", False)
    assert "-one\n+# work" in page.diff
    assert "README" not in page.diff
    assert page.created_at.endswith("+00:00")


async def test_a_page_still_shows_the_change_after_the_merge_and_without_the_branch(local: Place) -> None:
    await local.forge.open_pull_request(CALC, local.spec())
    git(local.bare, "update-ref", "refs/heads/main", tip(local.bare, "work"))
    git(local.bare, "update-ref", "-d", "refs/heads/work")
    assert "+# work" in (await local.forge.show_pull_request("acme/calc", 1)).diff


async def test_a_long_diff_is_cut_and_says_so(local: Place) -> None:
    add_commit(local.bare, {"long.txt": "line\n" * 200_000}, "work")
    await local.forge.open_pull_request(CALC, local.spec())
    page = await local.forge.show_pull_request("acme/calc", 1)
    assert page.cut
    assert len(page.diff) == 400 << 10


async def test_a_pull_request_needs_both_branches(place: Place) -> None:
    for spec in (place.spec(base="nowhere"), replace(place.spec(), head="nothing")):
        with pytest.raises(DomainError):
            await place.forge.open_pull_request(CALC, spec)
    place.branch("more")
    assert (await place.forge.open_pull_request(CALC, place.spec("more"))).number == 1


async def test_no_record_is_left_of_a_pull_request_without_its_branches(local: Place) -> None:
    with pytest.raises(NotFound) as refused:
        await local.forge.open_pull_request(CALC, local.spec(base="nowhere"))
    assert refused.value.code == "BRANCH_NOT_FOUND"
    assert not list(local.bare.glob("trunkline/pulls/*"))


@pytest.mark.parametrize("number", [0, 1, -1, 10**12])
async def test_a_pull_request_that_was_never_opened_is_not_found(local: Place, number: int) -> None:
    with pytest.raises(NotFound) as refused:
        await local.forge.show_pull_request("acme/calc", number)
    assert refused.value.code == "PULL_REQUEST_NOT_FOUND"


OPEN = """
import asyncio, sys
from pathlib import Path
from trunkline_sandbox.adapters.forges.local import LocalForge
from trunkline_sandbox.ports import Access, PullRequestSpec
root, commit, *heads = sys.argv[1:]
forge = LocalForge(Path(root), "http://x")
print("ready", flush=True)
sys.stdin.readline()
for head in heads:
    spec = PullRequestSpec("acme/calc", "main", head, "t", "b", commit)
    print(head, asyncio.run(forge.open_pull_request(Access("acme/calc"), spec)).number)
"""


async def test_processes_that_open_at_once_agree_on_the_numbers(local: Place) -> None:
    heads = ["work", *(f"work-{number}" for number in range(9))]
    for head in heads[1:]:
        git(local.bare, "branch", head, "work")
    argv = [sys.executable, "-c", OPEN, str(local.root), tip(local.bare, "work"), *heads]
    openers = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for opener in openers:
        assert opener.stdout
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        assert opener.stdin
        opener.stdin.write("go\n")
        opener.stdin.flush()
    said = [opener.communicate(timeout=60)[0].splitlines() for opener in openers]
    assert sorted(said[0]) == sorted(said[1]) == sorted(said[2])
    assert sorted(path.name for path in local.bare.glob("trunkline/pulls/*")) == sorted(f"{number}.json" for number in range(1, 11))


async def test_what_a_killed_writer_left_is_no_pull_request(local: Place) -> None:
    pulls = local.bare / "trunkline/pulls"
    pulls.mkdir(parents=True)
    (pulls / ".new-dead").write_text('{"number": 1, "head": "wo')
    assert (await local.forge.open_pull_request(CALC, local.spec())).number == 1
    assert [path.name for path in pulls.iterdir()] == ["1.json"]


async def test_a_damaged_record_is_said_to_be_damaged(local: Place) -> None:
    await local.forge.open_pull_request(CALC, local.spec())
    (local.bare / "trunkline/pulls/1.json").write_text("{")
    with pytest.raises(DomainError) as refused:
        await local.forge.show_pull_request("acme/calc", 1)
    assert refused.value.code == "PULL_REQUEST_DAMAGED"


async def test_work_about_a_pull_request_begins_on_its_branch(place: Place) -> None:
    opened = await place.forge.open_pull_request(CALC, place.spec())
    assert await place.forge.branch_for(CALC, opened.number) == place.spec().head
    with pytest.raises(NotFound):
        await place.forge.branch_for(CALC, 99)
