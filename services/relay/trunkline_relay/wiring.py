"""The relay put together: the only file that names concrete things."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from ipaddress import ip_network

import structlog

from trunkline.bus import Bus, Sealing, connect
from trunkline.bus.streams import DELIVERIES, HOOKS
from trunkline.bus.vital import vital
from trunkline.contracts import subjects
from trunkline.runtime.clock import now
from trunkline_relay.adapters.delivery_shelf import DeliveryShelf
from trunkline_relay.adapters.hook_book import HookBook
from trunkline_relay.adapters.names import system_names
from trunkline_relay.adapters.sqlite_views import open_views
from trunkline_relay.adapters.subscribers import subscribers
from trunkline_relay.handlers.change_webhooks import ChangeWebhooks
from trunkline_relay.handlers.deliver import Deliver, Sender
from trunkline_relay.handlers.fold_facts import Folding
from trunkline_relay.handlers.keep_fresh import Freshness
from trunkline_relay.handlers.show_webhooks import ShowWebhooks
from trunkline_relay.handlers.slots import Slots
from trunkline_relay.handlers.tell_webhooks import TaskSubjects, TellWebhooks
from trunkline_relay.handlers.verify_address import VerifyAddress
from trunkline_relay.handlers.wake_deliveries import WakeDeliveries
from trunkline_relay.model.addresses import Reach
from trunkline_relay.ports import Log, Views
from trunkline_relay.settings import Settings
from trunkline_relay.subscriptions import SERVICE, subscribe, subscribe_to_desk, subscribe_to_news

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
    folding = Folding(events, views, bus.epoch, freshness)
    settled = partial(freshness.settled, settings.relay_fresh_within_s)
    async with vital(freshness.run, folding.run), _webhooks(bus, TaskSubjects(views.task, settled), settings):
        await freshness.settled(settings.relay_build_within_s)
        log.info("relay.views_built", seq=views.checkpoint)
        subscribe(bus.inlet, views, settled)
        try:
            await bus.inlet.start(SERVICE)
            yield
        finally:
            await bus.inlet.stop()


@asynccontextmanager
async def _webhooks(bus: Bus, about: TaskSubjects, settings: Settings) -> AsyncIterator[None]:
    """Entered, every webhook is known and everything about them is declared, to be heard when the inlet starts."""
    reach = Reach(tuple(ip_network(each, strict=False) for each in settings.webhook_networks_allowed), settings.webhook_ports)
    ledger = bus.ledger(HOOKS)
    hooks = HookBook(ledger, bus.heard(ledger, subjects.ALL_HOOKS), Sealing(settings.sealing_key))
    shelf = DeliveryShelf(bus.ledger(DELIVERIES))
    await hooks.start()
    await shelf.start()
    async with subscribers(reach, settings.webhook_answer_within_s) as outside, system_names() as names, vital(hooks.run):
        slots, sender = Slots(settings.webhook_per_host, settings.webhook_in_flight), Sender(hooks, outside, now)
        change = ChangeWebhooks(hooks, bus.timers, reach, names, bus.log.last_seq)
        subscribe_to_desk(bus.inlet, change, ShowWebhooks(hooks, shelf, now))
        deliver, verify = Deliver(hooks, shelf, bus.timers, slots, sender), VerifyAddress(hooks, bus.timers, slots, sender, now)
        tell = TellWebhooks(hooks, shelf, deliver.at_once, about, (bus.epoch, settings.public_url.rstrip("/")))
        subscribe_to_news(bus.inlet, tell, deliver, verify)
        async with vital(WakeDeliveries(slots, deliver.woken).run):
            yield
