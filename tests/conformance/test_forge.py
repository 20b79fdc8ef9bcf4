"""What every forge promises: remotes that git can use, one pull request for a head, pages; run on each forge we have."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from trunkline.contracts.errors import DomainError, Invalid, NotFound
from trunkline.testing.repositories import add_commit, git, make_bare, tip
from trunkline_sandbox.adapters.forges.local import LocalForge
from trunkline_sandbox.ports import Forge, PullRequestSpec

URL = "http://127.0.0.1:8787"


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


@pytest.fixture(params=["local"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    root = tmp_path / "forge"
    bare = make_bare(root, "acme/calc", {"calc.py": "one\n", "README": "calc\n"})
    here = Place(LocalForge(root, URL), root, bare)
    here.branch("work")
    return here


async def test_a_remote_can_be_read_by_git(place: Place) -> None:
    remote = await place.forge.remote("acme/calc")
    listed = subprocess.run(["git", "ls-remote", remote.url, "refs/heads/main"], capture_output=True, text=True, check=True)
    assert listed.stdout.startswith(tip(place.bare))


async def test_the_suffix_that_git_allows_is_allowed(place: Place) -> None:
    assert await place.forge.remote("acme/calc.git") == await place.forge.remote("acme/calc")


async def test_a_repository_that_is_not_there_is_not_found(place: Place) -> None:
    (place.root / "acme/plain.git").mkdir()
    for repo in ("acme/nothing", "nobody/calc", "acme/plain"):
        with pytest.raises(NotFound) as refused:
            await place.forge.remote(repo)
        assert refused.value.code == "REPO_NOT_FOUND"


@pytest.mark.parametrize(
    "repo",
    ["", "calc", "acme/", "/calc", "acme/../calc", "../acme/calc", "acme/..", "a b/c", "acme/calc/hooks", "acme/$(id)", "acme/c\n",
     "acme/c\0", "-o/calc", "acme/-x", ".git/calc", "acme/.git", "x.git/calc", "a/" + "n" * 300, "äcme/calc"],
)  # fmt: skip
async def test_what_is_no_repository_name_is_refused_before_anything_is_looked_up(place: Place, repo: str) -> None:
    with pytest.raises(Invalid) as refused:
        await place.forge.remote(repo)
    assert refused.value.code == "REPO_INVALID"


async def test_a_link_does_not_lead_out_of_the_forge(place: Place, tmp_path: Path) -> None:
    (place.root / "acme/secret.git").symlink_to(make_bare(tmp_path / "elsewhere", "own/secret", {"a": "b"}))
    with pytest.raises(NotFound):
        await place.forge.remote("acme/secret")


async def test_pull_requests_are_numbered_from_one_and_have_a_page(place: Place) -> None:
    place.branch("other")
    first = await place.forge.open_pull_request(place.spec())
    second = await place.forge.open_pull_request(place.spec("other"))
    assert (first.number, second.number) == (1, 2)
    assert first.url == f"{URL}/forge/local/acme/calc/pulls/1"


async def test_a_head_has_one_pull_request_however_often_it_is_opened(place: Place) -> None:
    first = await place.forge.open_pull_request(place.spec())
    assert await place.forge.open_pull_request(place.spec(title="Again", repo="acme/calc.git")) == first
    assert (await place.forge.show_pull_request("acme/calc", 1)).title == "Fix it"


async def test_a_page_shows_what_the_branch_changed_and_nothing_that_came_to_the_base_since(place: Place) -> None:
    await place.forge.open_pull_request(place.spec())
    add_commit(place.bare, {"README": "changed meanwhile\n"})
    page = await place.forge.show_pull_request("acme/calc", 1)
    assert (page.repo, page.base, page.head, page.body, page.cut) == ("acme/calc", "main", "work", "As asked.", False)
    assert "-one\n+# work" in page.diff
    assert "README" not in page.diff
    assert page.created_at.endswith("+00:00")


async def test_a_page_still_shows_the_change_after_the_merge_and_without_the_branch(place: Place) -> None:
    await place.forge.open_pull_request(place.spec())
    git(place.bare, "update-ref", "refs/heads/main", tip(place.bare, "work"))
    git(place.bare, "update-ref", "-d", "refs/heads/work")
    assert "+# work" in (await place.forge.show_pull_request("acme/calc", 1)).diff


async def test_a_long_diff_is_cut_and_says_so(place: Place) -> None:
    add_commit(place.bare, {"long.txt": "line\n" * 200_000}, "work")
    await place.forge.open_pull_request(place.spec())
    page = await place.forge.show_pull_request("acme/calc", 1)
    assert page.cut
    assert len(page.diff) == 400 << 10


async def test_a_pull_request_needs_both_branches(place: Place) -> None:
    for spec in (place.spec(base="nowhere"), replace(place.spec(), head="nothing")):
        with pytest.raises(NotFound) as refused:
            await place.forge.open_pull_request(spec)
        assert refused.value.code == "BRANCH_NOT_FOUND"
    assert not list(place.bare.glob("trunkline/pulls/*"))


@pytest.mark.parametrize("number", [0, 1, -1, 10**12])
async def test_a_pull_request_that_was_never_opened_is_not_found(place: Place, number: int) -> None:
    with pytest.raises(NotFound) as refused:
        await place.forge.show_pull_request("acme/calc", number)
    assert refused.value.code == "PULL_REQUEST_NOT_FOUND"


OPEN = """
import asyncio, sys
from pathlib import Path
from trunkline_sandbox.adapters.forges.local import LocalForge
from trunkline_sandbox.ports import PullRequestSpec
root, commit, *heads = sys.argv[1:]
forge = LocalForge(Path(root), "http://x")
print("ready", flush=True)
sys.stdin.readline()
for head in heads:
    spec = PullRequestSpec("acme/calc", "main", head, "t", "b", commit)
    print(head, asyncio.run(forge.open_pull_request(spec)).number)
"""


async def test_processes_that_open_at_once_agree_on_the_numbers(place: Place) -> None:
    heads = ["work", *(f"work-{number}" for number in range(9))]
    for head in heads[1:]:
        git(place.bare, "branch", head, "work")
    argv = [sys.executable, "-c", OPEN, str(place.root), tip(place.bare, "work"), *heads]
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
    assert sorted(path.name for path in place.bare.glob("trunkline/pulls/*")) == sorted(f"{number}.json" for number in range(1, 11))


async def test_what_a_killed_writer_left_is_no_pull_request(place: Place) -> None:
    pulls = place.bare / "trunkline/pulls"
    pulls.mkdir(parents=True)
    (pulls / ".new-dead").write_text('{"number": 1, "head": "wo')
    assert (await place.forge.open_pull_request(place.spec())).number == 1
    assert [path.name for path in pulls.iterdir()] == ["1.json"]


async def test_a_damaged_record_is_said_to_be_damaged(place: Place) -> None:
    await place.forge.open_pull_request(place.spec())
    (place.bare / "trunkline/pulls/1.json").write_text("{")
    with pytest.raises(DomainError) as refused:
        await place.forge.show_pull_request("acme/calc", 1)
    assert refused.value.code == "PULL_REQUEST_DAMAGED"
