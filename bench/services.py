"""A process with some or all of the five services, as `trunkline` wires them, but for the world of the sandbox service."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import uvloop
from pydantic import SecretStr

import trunkline_approvals.settings
import trunkline_relay.settings
import trunkline_router.settings
from bench.bare import SECRET
from bench.standins import world
from trunkline.bus import BusSettings, connect
from trunkline.runtime.collector import calm
from trunkline.telemetry.logs import set_up_logs
from trunkline_cli.settings import StackSettings

NAMES = ("router", "approvals", "sandbox", "relay", "gateway")
HANDS = 64
"""As many as tasks are ever in flight, as the worker of the floor has."""
Start = Callable[[str, int, Path], AbstractAsyncContextManager[None]]


def copies(url: str) -> int:
    """As many of each stream as there are servers."""
    return url.count(",") + 1


def router(url: str, port: int, folder: Path) -> AbstractAsyncContextManager[None]:
    from trunkline_router.wiring import running

    return running(trunkline_router.settings.Settings(nats_url=url, replicas=copies(url)))


def approvals(url: str, port: int, folder: Path) -> AbstractAsyncContextManager[None]:
    from trunkline_approvals.wiring import running

    return running(trunkline_approvals.settings.Settings(nats_url=url, replicas=copies(url)))


def relay(url: str, port: int, folder: Path) -> AbstractAsyncContextManager[None]:
    from trunkline_relay.wiring import running

    return running(trunkline_relay.settings.Settings(nats_url=url, replicas=copies(url), data_dir=folder))


def gateway(url: str, port: int, folder: Path) -> AbstractAsyncContextManager[None]:
    from trunkline_gateway.settings import Settings
    from trunkline_gateway.wiring import running

    # A limit would end every measurement after ten tasks; what counting costs is a row of its own.
    return running(Settings(nats_url=url, replicas=copies(url), port=port, jwt_secret=SecretStr(SECRET), rate_limits="off"))


def counting(url: str, port: int, folder: Path) -> AbstractAsyncContextManager[None]:
    """A gateway whose limits count, and are never reached."""
    from trunkline_gateway.settings import Settings
    from trunkline_gateway.wiring import running

    limits = {"tasks.create": "1000000/minute"}
    return running(Settings(nats_url=url, replicas=copies(url), port=port, jwt_secret=SecretStr(SECRET), limits=limits))


@asynccontextmanager
async def sandbox(url: str, port: int, folder: Path) -> AsyncIterator[None]:
    from trunkline_sandbox.wiring import serving

    async with connect(BusSettings(nats_url=url, replicas=copies(url)), "sandbox") as bus, serving(bus, world(folder / "runs"), HANDS):
        yield


STARTS: Mapping[str, Start] = {
    "router": router,
    "approvals": approvals,
    "sandbox": sandbox,
    "relay": relay,
    "gateway": gateway,
    "counting": counting,
}


async def serve(url: str, port: int, names: list[str]) -> None:
    """Until killed."""
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder:
        async with AsyncExitStack() as stack:
            for name in names:
                await stack.enter_async_context(STARTS[name](url, port, Path(folder)))
            await asyncio.Event().wait()


if __name__ == "__main__":
    set_up_logs("bench", StackSettings().log_level)
    calm()
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3:] or list(NAMES)))
