"""The pull request of work that goes on: the same while it is open, another one once it was merged, and never a second for one commit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.github_place import BRANCH, CALC, Hub, hub
from trunkline.contracts.errors import Conflict
from trunkline.testing.repositories import git, tip
from trunkline_sandbox.ports import PullRequest


def another_commit(here: Hub, text: str) -> str:
    """On top of the branch as it is at the forge."""
    tree = git(here.bare, "rev-parse", f"{here.commit}^{{tree}}").strip()
    parent = tip(here.there, BRANCH)
    return git(here.bare, "-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", tree, "-p", parent, "-m", text).strip()


async def continued(here: Hub, text: str, task: str = "1" * 32) -> PullRequest:
    before, commit = tip(here.there, BRANCH), another_commit(here, text)
    for _ in range(2):  # as after a crash behind each effect
        async with here.forge.remote(CALC) as remote:
            await here.git.push(here.bare, remote, commit, BRANCH, before)
        spec = here.spec(commit=commit, task=task, note=f"Continued for {task}.")
        opened = await here.forge.open_pull_request(CALC, spec)
        assert await here.forge.open_pull_request(CALC, spec) == opened
    assert tip(here.there, BRANCH) == commit
    return opened


async def test_a_continuation_is_one_commit_more_in_the_same_pull_request(tmp_path: Path) -> None:
    async with hub(tmp_path) as here:
        first = await here.carried()
        assert [(await continued(here, text)).number for text in ("more", "and more")] == [first.number] * 2
        assert len(here.github.pulls["acme/calc"]) == 1


async def test_every_task_that_went_on_is_named_once_below_what_people_wrote(tmp_path: Path) -> None:
    async with hub(tmp_path) as here:
        await here.carried()
        await continued(here, "more", "1" * 32)
        [pull] = here.github.pulls["acme/calc"]
        pull["body"] = pull["body"].replace("\n", "\r\n") + "Closes #7."
        await continued(here, "and more", "2" * 32)
        told = [f"Trunkline-Task: {digit * 32}" for digit in "012"]
        body = ["As asked.", f"Continued for {'1' * 32}.", f"Continued for {'2' * 32}.", "\n".join(told), "Closes #7.\n"]
        assert pull["body"] == "\n\n".join(body)
        assert len(here.github.steps("edit")) == 2


async def test_a_text_that_may_not_be_changed_fails_nothing(tmp_path: Path) -> None:
    async with hub(tmp_path) as here:
        first = await here.carried()
        here.github.fail("edit", "403", times=99)
        assert (await continued(here, "more")).number == first.number


async def test_what_goes_on_after_the_merge_gets_a_pull_request_of_its_own(tmp_path: Path) -> None:
    async with hub(tmp_path) as here:
        first = await here.carried()
        here.github.end_pull("acme/calc", first.number, merged=True)
        assert (await here.open()).number == first.number, "the work that was merged has its pull request"
        second = await continued(here, "more")
        assert second.number == first.number + 1
        assert len(here.github.pulls["acme/calc"]) == 2


async def test_what_was_closed_stays_closed(tmp_path: Path) -> None:
    async with hub(tmp_path) as here:
        first = await here.carried()
        here.github.end_pull("acme/calc", first.number)
        assert (await continued(here, "more")).number == first.number
        assert len(here.github.pulls["acme/calc"]) == 1


async def test_of_two_that_continue_at_once_the_second_is_not_pushed_over_the_first(tmp_path: Path) -> None:
    async with hub(tmp_path) as here:
        await here.carried()
        before, other = tip(here.there, BRANCH), another_commit(here, "the second")
        await continued(here, "the first")
        with pytest.raises(Conflict) as moved:
            async with here.forge.remote(CALC) as remote:
                await here.git.push(here.bare, remote, other, BRANCH, before)
        assert moved.value.code == "BRANCH_MOVED"
