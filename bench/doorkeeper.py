"""A model door with a real till behind it, in a process of its own as in the sandbox service."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

from bench.models import KEY
from trunkline.bus import BusSettings, WorkItem, connect
from trunkline.runtime.clock import now
from trunkline.runtime.collector import calm
from trunkline.telemetry.logs import set_up_logs
from trunkline_sandbox.adapters.model.door import model_door, model_session
from trunkline_sandbox.adapters.model.keys import DoorKeys
from trunkline_sandbox.adapters.model.shapes import Upstream, Upstreams
from trunkline_sandbox.handlers.till import SpendLog, TaskTill
from trunkline_sandbox.model.budget import BudgetLimits

LIMITS = BudgetLimits(1000, 10000)
"""Both are set, for then the till has the most to look at."""


async def serve(url: str, folder: Path, anthropic: str, openai: str) -> None:
    """Until killed."""
    door = DoorKeys(folder, b"bench")("bench")
    upstreams = Upstreams(Upstream(KEY, anthropic), Upstream(KEY, openai))
    item = WorkItem(tenant="bench", task="bench", attempt=1, pool="dev", priority="normal")
    async with connect(BusSettings(nats_url=url), "sandbox") as bus, model_session() as session:
        till = TaskTill(SpendLog(bus.log, item, now), bus.counters, LIMITS, asyncio.Event())
        await till.open()
        async with model_door(door, upstreams, session, till):
            print(door.socket, door.token, flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    set_up_logs("bench")
    calm()
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
