"""A service of which each process dies of one message: as often as it dies, another one takes its place."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from trunkline.bus import BusSettings, Stored, connect
from trunkline.contracts import subjects

DEADLY = b"it ends whoever reads it"
MOST = 20


async def die(stored: Stored) -> None:
    if DEADLY in stored.body:
        os.kill(os.getpid(), signal.SIGKILL)


async def serve(url: str) -> None:
    async with connect(BusSettings.model_validate({"nats_url": url}), "approvals") as bus:
        bus.inlet.facts("approvals-runs", "run", die)
        await bus.inlet.start("approvals")
        await asyncio.Event().wait()


if __name__ == "__main__":
    assert subjects.events_of_part("run")
    for _ in range(MOST):
        child = os.fork()
        if not child:
            asyncio.run(serve(sys.argv[1]))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
