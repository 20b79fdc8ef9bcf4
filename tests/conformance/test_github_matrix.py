"""Exactly one pull request, whatever GitHub does once at whichever step."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests import campaigns
from tests.conformance.github_place import BRANCH, GAP, Hub, hub, insist
from trunkline.testing.fake_github import CHANGES
from trunkline.testing.forge_faults import KINDS
from trunkline.testing.repositories import branches

API = ("installation", "token", "repo", "list", "create", "comments", "comment", "status")
OVER_GIT = ("fetch-refs", "fetch", "push-refs", "push")
AT_ONCE = 4
LIMITED = {"403-rate", "403-secondary", "429"}


def headers(step: str, kind: str) -> dict[str, str]:
    """How long GitHub wants to be left alone, in the two ways that it says so; git hears of neither."""
    if step in OVER_GIT or kind not in LIMITED:
        return {}
    if kind == "403-rate":
        return {"x_ratelimit_remaining": "0", "x_ratelimit_reset": f"{time.time():.0f}"}
    return {"retry_after": "1"}


def check(here: Hub, number: int) -> None:
    github = here.github
    assert [(pull["number"], pull["head"]["ref"]) for pull in github.pulls["acme/calc"]] == [(number, BRANCH)] == [(1, BRANCH)]
    assert branches(here.there)[BRANCH] == here.commit
    assert len(branches(here.there)) == 2
    assert len(github.comments.get(("acme/calc", 1), [])) <= 1
    assert github.too_early == []
    changes = github.steps(*CHANGES)
    assert all(later.at - sooner.at >= GAP * 0.95 for sooner, later in pairwise(changes))
    assert [fault.times for fault in github.faults] == [0], "the fault did not come to pass"


async def cell(folder: Path, step: str, kind: str) -> None:
    async with hub(folder, app=True, comment=True, status=True, hurried=kind.startswith("silent")) as here:
        here.github.fail(step, kind, **headers(step, kind))
        if step in API:
            here.already_pushed()
        check(here, (await (insist(here.open) if step in API else here.carried())).number)


@pytest.mark.parametrize("kind", KINDS)
async def test_one_fault_at_any_step_ends_in_exactly_one_pull_request(kind: str, tmp_path: Path) -> None:
    steps = campaigns.part((*API, *OVER_GIT), 3, KINDS.index(kind))
    turn, failed = asyncio.Semaphore(AT_ONCE), dict[str, BaseException]()

    async def one(step: str) -> None:
        async with turn:
            try:
                await cell(tmp_path / step, step, kind)
            except Exception as error:
                failed[step] = error

    async with asyncio.TaskGroup() as group:
        for step in steps:
            group.create_task(one(step))
    print(f"{kind}: {len(steps) - len(failed)} of {len(steps)} steps ended in exactly one pull request")
    assert failed == {}
