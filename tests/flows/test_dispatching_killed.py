"""A relay that is killed at any step of a dispatch starts its run once, follows it to the end, and revokes its key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.campaigns import LONG
from tests.flows.dispatch_desk import KEY, WITHIN, Desk, desk
from trunkline.contracts.dispatch import COMPLETED, DispatchTried, InstanceKeyRevoked, Outcome, WorkflowRunSeen
from trunkline.contracts.ids import TaskId
from trunkline.contracts.task import TaskSucceeded
from trunkline.runtime.faults import DIRECTORY, SIDES
from trunkline.testing import warm
from trunkline.testing.fake_actions import Dispatched
from trunkline.testing.nats import NatsServer, nats_server

pytestmark = [pytest.mark.flow, pytest.mark.kill, pytest.mark.timeout(180)]
BEFORE = tuple(f"{moment}.{side}" for moment in ("dispatch_wanted", "dispatch_sent", "run_seen") for side in SIDES)
AFTER = tuple(f"key_revoked.{side}" for side in SIDES)
"""Passed only when a task is over."""
SOONEST = ("dispatch_wanted.after_record", "dispatch_sent.after_effect")
"""Where most can go wrong; the others are tried in the long form only."""
ROOT = Path(__file__).parents[2]


class Relay:
    """Its own process, which can be killed."""

    def __init__(self, server: NatsServer, here: Desk, faults: Path) -> None:
        known = {
            "TRUNKLINE_NATS_URL": server.url,
            "TRUNKLINE_VAULT_KEY": KEY,
            "TRUNKLINE_GITHUB_API_URL": here.github.api_url,
            "TRUNKLINE_GITHUB_START_WITHIN_S": "6" if LONG else "300",  # what was never sent is sent again after that
            "GITHUB_TOKEN": here.token,
        }
        self._environment = {**os.environ, **known, DIRECTORY: str(faults)}
        self.faults = faults

    async def start(self) -> None:
        with (self.faults / "log").open("ab") as log:
            self.process = warm.start(["tests.flows.dispatch_relay"], self._environment, log, ROOT)

    async def stop(self) -> None:
        self.process.kill()
        await asyncio.to_thread(self.process.wait, WITHIN)

    def arm(self, point: str) -> None:
        (self.faults / f".{point}").write_text("self")
        (self.faults / f".{point}").rename(self.faults / point)

    async def dies(self) -> None:
        """Returns when another one is there in its place."""
        assert await asyncio.to_thread(self.process.wait, WITHIN) < 0
        await self.start()


@asynccontextmanager
async def relay_on(server: NatsServer, here: Desk, faults: Path) -> AsyncIterator[Relay]:
    faults.mkdir()
    relay = Relay(server, here, faults)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


async def carried_on(here: Desk, relay: Relay) -> dict[TaskId, str]:
    """Tasks of which each began with the death of a relay, and where their runs are. Nobody waits for one before the next begins: what
    a relay left undone is done while others die."""
    tasks: dict[TaskId, str] = {}
    for point in BEFORE if LONG else SOONEST:
        relay.arm(point)
        repo = here.repo()
        tasks[await here.assigned(repo)] = repo
        await relay.dies()
    for task in tasks:
        await here.until(task, WorkflowRunSeen, lambda fact: fact.run.status == COMPLETED)
    return tasks


async def ended(here: Desk, relay: Relay, tasks: dict[TaskId, str]) -> None:
    for point, task in zip_longest(AFTER if LONG else AFTER[1:2], tasks):
        if point:
            relay.arm(point)
        await here.say(task, TaskSucceeded())
        if point:
            await relay.dies()


async def work(_: Dispatched) -> str:
    return "success"


async def test_a_relay_killed_at_any_step_starts_one_run_and_leaves_no_key(tmp_path: Path) -> None:
    with nats_server() as server:
        async with desk(server, tmp_path / "forge") as here, relay_on(server, here, tmp_path / "faults") as relay:
            here.github.actions.programs = work
            tasks = await carried_on(here, relay)
            await ended(here, relay, tasks)
            for task, repo in tasks.items():
                await here.until(task, InstanceKeyRevoked)
                assert len(here.github.actions.runs[repo]) == 1
                facts = await here.facts(task)
                assert len([fact for fact in facts if isinstance(fact, InstanceKeyRevoked)]) == 1
                assert [fact.run.conclusion for fact in facts if isinstance(fact, WorkflowRunSeen)][-1] == "success"
                assert len([fact for fact in facts if isinstance(fact, DispatchTried) and fact.outcome is Outcome.ACCEPTED]) <= 1
