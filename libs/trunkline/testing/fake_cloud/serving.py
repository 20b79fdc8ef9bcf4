"""How an emulated cloud is served: on the loopback, with its faults around every call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Middleware

from trunkline.testing.fake_cloud.faults import FAULTS, Faults, faulty


@asynccontextmanager
async def served(routes: Iterable[web.RouteDef], faults: Faults, guard: Middleware) -> AsyncIterator[str]:
    """Its address, until the block ends; `guard` is around everything."""
    app = web.Application(middlewares=[guard, faulty], client_max_size=1 << 32)
    app[FAULTS] = faults
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
