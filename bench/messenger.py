"""One relay in a process of its own, as it runs in a stack, which says what telling costs it: `ready` once it hears, and for each line."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

import uvloop

from trunkline.runtime.collector import calm
from trunkline.telemetry.logs import set_up_logs
from trunkline_relay.settings import Settings
from trunkline_relay.wiring import running

AT_ONCE: Final = 64


def settings(url: str, folder: Path) -> Settings:
    known = {"nats_url": url, "data_dir": folder, "vault_key": "k" * 32}
    return Settings.model_validate({**known, "webhook_networks_allowed": ("127.0.0.0/8",), "webhook_per_host": AT_ONCE})


async def tell(url: str, folder: Path) -> None:
    """Until stdin ends."""
    async with running(settings(url, folder)):
        while True:
            print(json.dumps({"at": time.monotonic(), "processor": time.process_time()}), flush=True)
            if not await asyncio.to_thread(sys.stdin.readline):
                return


if __name__ == "__main__":
    set_up_logs("bench")
    calm()
    uvloop.run(tell(sys.argv[1], Path(sys.argv[2])))
