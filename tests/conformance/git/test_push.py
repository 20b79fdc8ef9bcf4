"""A branch reaches the forge once, whoever pushed before and whatever hooks lie there."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.conformance.git.job import SPEC, Job, hook, sprung
from trunkline.contracts.errors import Conflict, Denied
from trunkline.testing.repositories import git, tip


async def test_pushing_again_changes_nothing(job: Job) -> None:
    (job.tree / "calc.py").write_text("changed\n")
    made = await job.commit()
    assert made
    for _ in range(2):
        await job.git.push(job.bare, job.remote, made.sha, SPEC.branch)
    assert tip(job.forge, SPEC.branch) == made.sha


async def test_a_branch_with_other_work_on_it_is_left_alone(job: Job) -> None:
    git(job.forge, "branch", SPEC.branch, "main")
    (job.tree / "calc.py").write_text("changed\n")
    made = await job.commit()
    assert made
    with pytest.raises(Conflict) as refused:
        await job.git.push(job.bare, job.remote, made.sha, SPEC.branch)
    assert refused.value.code == "BRANCH_TAKEN"
    assert tip(job.forge, SPEC.branch) == job.base


async def test_hooks_of_a_repository_on_this_machine_do_not_run(job: Job, trap: Path) -> None:
    for name in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction"):
        hook(job.forge / "hooks", name, trap)
    (job.tree / "calc.py").write_text("changed\n")
    made = await job.commit()
    assert made
    await job.git.push(job.bare, job.remote, made.sha, SPEC.branch)
    assert not sprung(trap)


async def test_a_forge_that_refuses_a_branch_is_heard(job: Job) -> None:
    git(job.forge, "config", "receive.hideRefs", "refs/heads/trunkline")
    (job.tree / "calc.py").write_text("changed\n")
    made = await job.commit()
    assert made
    with pytest.raises(Denied) as refused:
        await job.git.push(job.bare, job.remote, made.sha, SPEC.branch)
    assert refused.value.code == "PUSH_REFUSED"


async def test_a_lock_that_a_killed_receiver_left_gives_way(job: Job) -> None:
    lock = job.forge / f"refs/heads/{SPEC.branch}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (time.time() - 60,) * 2)
    (job.tree / "calc.py").write_text("changed\n")
    made = await job.commit()
    assert made
    await job.git.push(job.bare, job.remote, made.sha, SPEC.branch)
    assert tip(job.forge, SPEC.branch) == made.sha


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_trees_and_repositories_of_other_users_are_taken(job: Job) -> None:
    (job.tree / "calc.py").write_text("changed\n")
    subprocess.run(["chown", "-R", "65534:65534", str(job.tree), str(job.forge)], check=True)
    made = await job.commit()
    assert made
    await job.git.push(job.bare, job.remote, made.sha, SPEC.branch)
    assert await job.git.fetch(job.remote, SPEC.branch, job.bare) == made.sha


async def test_a_branch_is_pushed_forward_from_what_it_is_expected_to_be(job: Job) -> None:
    (job.tree / "calc.py").write_text("changed\n")
    first = await job.commit()
    assert first
    await job.git.push(job.bare, job.remote, first.sha, SPEC.branch)
    (job.tree / "calc.py").write_text("changed again\n")
    second = await job.git.commit(job.bare, first.sha, job.tree, SPEC)
    assert second
    for _ in range(2):
        await job.git.push(job.bare, job.remote, second.sha, SPEC.branch, first.sha)
    assert tip(job.forge, SPEC.branch) == second.sha


@pytest.mark.parametrize("removed", [False, True])
async def test_a_branch_that_somebody_moved_meanwhile_is_left_alone(job: Job, removed: bool) -> None:
    (job.tree / "calc.py").write_text("changed\n")
    made = await job.commit()
    assert made
    if not removed:
        git(job.forge, "branch", SPEC.branch, "main")
    with pytest.raises(Conflict) as refused:
        await job.git.push(job.bare, job.remote, made.sha, SPEC.branch, "1" * 40)
    assert refused.value.code == "BRANCH_MOVED"
