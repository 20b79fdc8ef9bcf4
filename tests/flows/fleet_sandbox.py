"""A sandbox service whose agents are in memory and take their time, for tests with many tasks: its words are a url and a folder."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import uvloop

from bench.standins import world
from trunkline.bus import BusSettings, connect
from trunkline.runtime.collector import calm
from trunkline.telemetry.logs import set_up_logs
from trunkline_sandbox.wiring import serving

HANDS = 16
PAUSE = 0.02
"""Seconds before each of the 20 lines of an agent: long enough to be killed in the middle."""
REPLICAS = 3


async def serve(url: str, folder: Path) -> None:
    """Until SIGTERM; then what it carries is handed back."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with connect(BusSettings(nats_url=url, replicas=REPLICAS), "sandbox") as bus, serving(bus, world(folder, PAUSE), HANDS):
        print(f"sandbox is ready (process {os.getpid()})", flush=True)
        await over.wait()


if __name__ == "__main__":
    set_up_logs("sandbox", "warning")
    calm()
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2])))
