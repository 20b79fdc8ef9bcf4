"""Work that kills whoever carries it: it is not handed out for ever, its task ends, and what it was lies with the dead letters."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from nats.js.errors import NotFoundError

from tests.flows.carried import Box, Program, about
from tests.flows.test_routing import OURS, routed
from trunkline.bus import Bus, BusSettings, WorkItem, connect
from trunkline.contracts.record import Record
from trunkline.contracts.run import RunClaimed, RunFailed
from trunkline.contracts.task import TaskFailed
from trunkline.runtime.clock import now
from trunkline.testing.nats import nats_server
from trunkline_sandbox.handlers.drive_run import MOST_CLAIMS
from trunkline_sandbox.wiring import serving

pytestmark = pytest.mark.flow


async def begins_never(program: Program, box: Box) -> None:
    raise AssertionError("an agent was started for work that is given up")


async def letter_of(bus: Bus, subject: str) -> bytes:
    """Written after the end of the run is told."""
    for _ in range(100):
        try:
            return (await bus.client.jetstream().get_last_msg("DEAD", subject)).data or b""
        except NotFoundError:
            await asyncio.sleep(0.05)
    raise AssertionError("there is no letter")


async def test_work_that_killed_a_dozen_carriers_is_given_up_with_its_task_and_lies_with_the_dead_letters(tmp_path: Path) -> None:
    with nats_server() as server:
        async with routed(server, **OURS) as client:
            await client.submit("t1", repo="acme/calc", max_retries=3)
            seq = 0
            for number in range(MOST_CLAIMS):  # each of them died before it came any further
                record = Record(at=now(), cause="claim", facts=(RunClaimed(attempt=1, owner=f"dead-{number}"),))
                seq = await client.bus.log.append(client.subject("t1", "run"), record, expect=seq, id=f"claim-{number}")
            async with (
                connect(BusSettings.model_validate({"nats_url": server.url}), "sandbox") as bus,
                serving(bus, about(Box(begins_never), tmp_path), 1),
            ):
                end = (await client.until("t1", TaskFailed))[-1]
                assert isinstance(end, TaskFailed)
                assert end.code == "POISON", "it is not tried again, though it might be three times"
                (run,) = [fact for fact in await client.facts("t1", "run") if isinstance(fact, RunFailed)]
                assert not run.recoverable
                letter = await letter_of(bus, "dead.work-dev-P2.acme.*")
            told = json.loads(letter)
            item = WorkItem.model_validate_json(base64.b64decode(told["body"]))
            assert (item.task, told["subject"]) == ("t1", "work.dev.line.P2.acme")
