"""What a service tells of itself while it is on the bus: its spans, there and to a collector if there is one, and its figures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import unquote

from nats.aio.client import Client

from trunkline.bus.settings import BusSettings
from trunkline.bus.traces import Spool
from trunkline.bus.vital import vital
from trunkline.bus.watching import Watch
from trunkline.telemetry.metrics import Counted, Meters, Uncounted
from trunkline.telemetry.otlp import Collector, leaving
from trunkline.telemetry.sampling import Sampler
from trunkline.telemetry.traces import Tracer


@asynccontextmanager
async def telling(settings: BusSettings, name: str, client: Client) -> AsyncIterator[Watch]:
    """What ends inside the block is told; the last of it at the end. Raises Unsupported where there is nothing to tell a collector with."""
    meters: Meters = Counted(name, _version()) if settings.metrics_port else Uncounted()

    def dropped(count: int) -> None:
        meters.count("spans_dropped_total", by=count)

    async with AsyncExitStack() as stack:
        collector = _collector(settings)
        away = await stack.enter_async_context(leaving(collector, name, dropped)) if collector else None
        spool = Spool(client, dropped, away.take if away else None)
        tracer = Tracer(name, Sampler(settings.trace_ratio, settings.traces_per_s), spool.put)
        try:
            async with vital(spool.run):
                yield Watch(tracer, meters, lambda: client.is_connected)
        finally:
            await spool.last()


def _collector(settings: BusSettings) -> Collector | None:
    if not settings.otlp_endpoint:
        return None
    pairs = (pair.partition("=") for pair in settings.otlp_headers.get_secret_value().split(",") if "=" in pair)
    return Collector(settings.otlp_endpoint, {name.strip(): unquote(value.strip()) for name, _, value in pairs})


def _version() -> str:
    try:
        return version("trunkline")
    except PackageNotFoundError:
        return "0.0.0+source"
