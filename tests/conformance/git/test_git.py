"""What git on our side of the wall promises an honest job, and how it refuses bad input."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.conformance.git.job import FILES, SPEC, Job
from trunkline.contracts.errors import Invalid, NotFound
from trunkline.testing.repositories import add_commit, branches, git, make_bare, read_files
from trunkline_sandbox.adapters.git import GitProgram
from trunkline_sandbox.ports import Commit, CommitSpec, Remote


async def test_a_change_goes_from_the_forge_through_the_tree_to_a_branch(job: Job) -> None:
    (job.tree / "calc.py").write_text("one\n2\n3\n")
    (job.tree / "new.bin").write_bytes(b"\0\1\2")
    made = await job.commit()
    assert made == Commit(made.sha if made else "", files_changed=2, additions=2, deletions=1)
    assert made
    await job.git.push(job.bare, job.remote, made.sha, SPEC.branch)
    assert branches(job.forge) == {"main": job.base, SPEC.branch: made.sha}
    assert read_files(job.forge, SPEC.branch) == {
        **{name: text.encode() for name, text in FILES.items()}, "calc.py": b"one\n2\n3\n", "new.bin": b"\0\1\2",
    }  # fmt: skip


async def test_the_agent_has_a_repository_to_work_in_that_leads_nowhere(job: Job) -> None:
    add_commit(job.forge, {"calc.py": "three\n"})
    job.base = await job.git.fetch(job.remote, "main", job.bare)
    await job.git.checkout(job.bare, job.base, job.tree)
    assert job.agent("status", "--porcelain", "--branch") == "## main"
    assert len(job.agent("log", "--format=%H").splitlines()) == 2
    assert job.agent("remote") == ""
    assert not (job.tree / ".git/objects/info/alternates").exists()
    assert not list((job.tree / ".git").glob("hooks/*"))
    assert os.access(job.tree / "run.sh", os.X_OK)


async def test_what_the_agent_commits_itself_is_part_of_the_one_commit(job: Job) -> None:
    (job.tree / "calc.py").write_text("by hand\n")
    job.agent("commit", "--quiet", "--all", "--message", "mine")
    assert (await job.committed())["calc.py"] == b"by hand\n"
    assert git(job.bare, "rev-list", "--count", SPEC.branch) == "2"


async def test_a_tree_that_did_not_change_makes_no_commit(job: Job) -> None:
    os.utime(job.tree / "calc.py", (1, 1))
    assert await job.commit() is None
    assert SPEC.branch not in branches(job.bare)


async def test_a_tree_without_any_file_is_a_commit_that_deletes_all(job: Job) -> None:
    subprocess.run(["find", str(job.tree), "-mindepth", "1", "-delete"], check=True)
    made = await job.commit()
    assert made
    assert (made.files_changed, made.additions, made.deletions) == (4, 0, 5)
    assert read_files(job.bare, made.sha) == {}


async def test_the_same_tree_gives_the_same_commit_wherever_it_is_made(job: Job, tmp_path: Path) -> None:
    (job.tree / "calc.py").write_text("same\n")
    first = await job.commit()
    assert await job.commit() == first
    again = tmp_path / "elsewhere"
    base = await job.git.fetch(job.remote, "main", again)
    assert await job.git.commit(again, base, job.tree, SPEC) == first
    shown = git(job.bare, "show", "--no-patch", "--format=%an|%ae|%at|%cn|%ce|%ct|%B", SPEC.branch)
    assert shown == "Trunkline|bot@example.org|1700000000|Trunkline|bot@example.org|1700000000|Fix it\n\nTrunkline-Task: t1"


async def test_what_the_repository_ignores_is_not_committed(job: Job) -> None:
    (job.tree / "node_modules/left-pad").mkdir(parents=True)
    (job.tree / "node_modules/left-pad/index.js").write_text("x")
    assert await job.commit() is None


async def test_jobs_at_once_do_not_disturb_each_other(job: Job, tmp_path: Path) -> None:
    async def one(number: int) -> None:
        bare, tree, branch = tmp_path / f"{number}/bare", tmp_path / f"{number}/tree", f"trunkline/job-{number}"
        base = await job.git.fetch(job.remote, "main", bare)
        await job.git.checkout(bare, base, tree)
        (tree / "calc.py").write_text(f"{number}\n")
        made = await job.git.commit(bare, base, tree, CommitSpec(branch, "m", "a", 1))
        assert made
        await job.git.push(bare, job.remote, made.sha, branch)

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(one(number))
    assert [read_files(job.forge, f"trunkline/job-{number}")["calc.py"] for number in range(5)] == [b"%d\n" % number for number in range(5)]


async def test_only_as_much_history_is_fetched_as_was_asked_for(job: Job, tmp_path: Path) -> None:
    add_commit(job.forge, {"calc.py": "more\n"})
    shallow = GitProgram(depth=1)
    base = await shallow.fetch(job.remote, "main", tmp_path / "shallow")
    await shallow.checkout(tmp_path / "shallow", base, job.tree)
    assert job.agent("rev-list", "--count", "HEAD") == "1"
    (job.tree / "calc.py").write_text("changed\n")
    made = await shallow.commit(tmp_path / "shallow", base, job.tree, SPEC)
    assert made
    await shallow.push(tmp_path / "shallow", job.remote, made.sha, SPEC.branch)
    assert git(job.forge, "rev-list", "--count", SPEC.branch) == "3"


async def test_a_branch_that_is_not_there_is_named_with_those_that_are(job: Job) -> None:
    with pytest.raises(NotFound) as refused:
        await job.git.fetch(job.remote, "mian", job.bare)
    assert refused.value.code == "BRANCH_NOT_FOUND"
    assert refused.value.details["branches"] == ["main"]


@pytest.mark.parametrize("branch", ["*", "--upload-pack=/bin/true", "a b", "../main", "main:main", "+main", "", "refs/*"])
async def test_a_branch_that_git_could_misread_is_refused(job: Job, branch: str) -> None:
    with pytest.raises((Invalid, NotFound)) as refused:
        await job.git.fetch(job.remote, branch, job.bare)
    assert refused.value.code in ("BRANCH_INVALID", "BRANCH_NOT_FOUND")


async def test_an_empty_repository_is_refused_with_what_to_do(job: Job, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="push a first commit") as refused:
        await job.git.fetch(Remote(str(make_bare(tmp_path / "forge", "acme/empty", {}))), "main", tmp_path / "x")
    assert refused.value.code == "REPO_EMPTY"
    assert not (tmp_path / "x").exists()


async def test_a_missing_repository_is_not_found(job: Job, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as refused:
        await job.git.fetch(Remote(str(tmp_path / "nothing.git")), "main", tmp_path / "x")
    assert refused.value.code == "REPO_NOT_FOUND"


async def test_a_repository_beyond_the_limit_is_refused(job: Job, tmp_path: Path) -> None:
    add_commit(job.forge, {"big": random.Random(1).randbytes(3 << 20)})
    with pytest.raises(Invalid) as refused:
        await GitProgram(size=1 << 20).fetch(job.remote, "main", tmp_path / "x")
    assert refused.value.code == "REPO_TOO_LARGE"
    assert not (tmp_path / "x").exists()


async def test_a_small_pack_that_unfolds_beyond_the_limit_is_refused_before_it_is_written(job: Job, tmp_path: Path) -> None:
    add_commit(job.forge, {"zeros": bytes(8 << 20)})
    small = GitProgram(size=1 << 20)
    base = await small.fetch(job.remote, "main", tmp_path / "x")
    with pytest.raises(Invalid) as refused:
        await small.checkout(tmp_path / "x", base, tmp_path / "t")
    assert refused.value.code == "REPO_TOO_LARGE"
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    "url", ["ext::sh -c true", "ftp://example.org/x", "https://u:secretsecret@example.org/x", "https://tokentoken@h/x"]
)
async def test_only_known_transports_and_addresses_without_a_credential_are_used(job: Job, tmp_path: Path, url: str) -> None:
    with pytest.raises(Invalid) as refused:
        await job.git.fetch(Remote(url), "main", tmp_path / "x")
    assert "secretsecret" not in refused.value.message


async def test_a_commit_that_is_none_is_refused(job: Job) -> None:
    for commit in ("HEAD", "--all", "0" * 40):
        with pytest.raises(NotFound) as refused:
            await job.git.checkout(job.bare, commit, job.tree)
        assert refused.value.code == "COMMIT_NOT_FOUND"
    assert (job.tree / "calc.py").exists()
