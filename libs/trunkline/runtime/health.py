"""The small port of a service: whether it lives, whether it can be sent work, and its figures for Prometheus."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final

import orjson

from trunkline.bus import Bus, BusSettings
from trunkline.contracts.errors import Conflict
from trunkline.telemetry.metrics import Counted

if TYPE_CHECKING:
    from aiohttp import web

DRAIN_S: Final = 0.2
_JSON: Final = "application/json"


def beside(settings: BusSettings, name: str) -> Callable[[Bus], AbstractAsyncContextManager[None]]:
    """For `connect`: the port is open as long as the service hears, and while it drains; none where none is configured."""

    @asynccontextmanager
    async def around(bus: Bus) -> AsyncIterator[None]:
        if not settings.metrics_port:
            yield
            return
        async with _listening(Health(bus, name), settings):
            yield

    return around


class Health:
    """What is answered."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus = bus
        self._name = name
        bus.watch.meters.ask("ready", lambda: float(self.ready))
        bus.watch.meters.ask("bus_connected", lambda: float(bus.watch.connected()))

    @property
    def ready(self) -> bool:
        """Not while it drains, nor while nats-server is away."""
        return self._bus.watch.connected() and self._bus.watch.hears()

    async def live(self, _: web.Request) -> web.Response:
        return _answer(200, live=True)

    async def readiness(self, _: web.Request) -> web.Response:
        watch = self._bus.watch
        return _answer(200 if self.ready else 503, ready=self.ready, bus=watch.connected(), hears=watch.hears())

    async def figures(self, _: web.Request) -> web.Response:
        from aiohttp import web

        meters = self._bus.watch.meters
        assert isinstance(meters, Counted)  # where there is a port, there are figures
        await self._bus.depths.look(work=self._name == "router")
        return web.Response(body=meters.text(), headers={"Content-Type": meters.type})


def _answer(status: int, **said: bool) -> web.Response:
    from aiohttp import web

    return web.Response(body=orjson.dumps(said), status=status, content_type=_JSON)


@asynccontextmanager
async def _listening(health: Health, settings: BusSettings) -> AsyncIterator[None]:
    """Raises Conflict for a port that is taken. aiohttp is imported here: some services have no other use for it."""
    from aiohttp import web

    site = web.Application()
    site.router.add_get("/health/live", health.live)
    site.router.add_get("/health/ready", health.readiness)
    site.router.add_get("/metrics", health.figures)
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=DRAIN_S)
    await runner.setup()
    try:
        await _listen(web.TCPSite(runner, settings.metrics_host, settings.metrics_port), settings)
        yield
    finally:
        await runner.cleanup()


async def _listen(place: web.TCPSite, settings: BusSettings) -> None:
    try:
        await place.start()
    except OSError as error:
        where, why = f"{settings.metrics_host}:{settings.metrics_port}", os.strerror(error.errno) if error.errno else str(error)
        message = f"cannot listen on {where} for figures: {why}. Choose another metrics_port, or 0 for none"
        raise Conflict(message, code="PORT_NOT_FREE") from error
