"""The relay put together: the only file that names concrete things."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial

import structlog

from trunkline.bus import Bus, connect
from trunkline.bus.vital import vital
from trunkline_relay.adapters.sqlite_views import open_views
from trunkline_relay.handlers.fold_facts import Folding
from trunkline_relay.handlers.keep_fresh import Freshness
from trunkline_relay.ports import Log, Views
from trunkline_relay.settings import Settings
from trunkline_relay.subscriptions import SERVICE, subscribe

log = structlog.get_logger()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Entered, the views are built and the relay answers; left, it has stopped. Raises Unavailable, Conflict."""
    async with connect(settings, SERVICE) as bus:
        end = await bus.log.last_seq()
        with closing(open_views(settings.views_file(), bus.epoch, end)) as views:
            async with answering(bus, bus.log, views, settings):
                yield


@asynccontextmanager
async def answering(bus: Bus, events: Log, views: Views, settings: Settings) -> AsyncIterator[None]:
    """Entered, the views hold what `events` held and queries are answered from them; left, they are not any more."""
    freshness = Freshness(events.last_seq, views.checkpoint)
    folding = Folding(events, views, bus.epoch, freshness.advanced)
    async with vital(freshness.run, folding.run):
        await freshness.settled(settings.relay_build_within_s)
        log.info("relay.views_built", seq=views.checkpoint)
        subscribe(bus.inlet, views, partial(freshness.settled, settings.relay_fresh_within_s))
        try:
            await bus.inlet.start(SERVICE)
            yield
        finally:
            await bus.inlet.stop()
