"""The relay put together: the only file that names concrete things."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import timedelta
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory

import structlog

from trunkline.auth.instance_keys import InstanceKeys
from trunkline.bus import Bus, Sealing, connect
from trunkline.bus.streams import DEAD, DELIVERIES, HOOKS
from trunkline.bus.vital import vital
from trunkline.contracts import subjects
from trunkline.contracts.errors import Broken
from trunkline.contracts.integrity import Integrity, IntegrityView
from trunkline.runtime.actor import Actor
from trunkline.runtime.clock import now
from trunkline.runtime.health import beside
from trunkline_relay.adapters.audit_book import audit_book
from trunkline_relay.adapters.delivery_shelf import DeliveryShelf
from trunkline_relay.adapters.dispatch_timers import BusDispatchTimers
from trunkline_relay.adapters.hook_book import HookBook
from trunkline_relay.adapters.letter_book import LetterBook
from trunkline_relay.adapters.names import system_names
from trunkline_relay.adapters.sqlite_views import open_views, scratch_views
from trunkline_relay.adapters.subscribers import subscribers
from trunkline_relay.adapters.workflows import Options, github_workflows
from trunkline_relay.handlers.answer_list_dispatches import AnswerListDispatches
from trunkline_relay.handlers.change_webhooks import ChangeWebhooks
from trunkline_relay.handlers.deliver import Deliver, Sender
from trunkline_relay.handlers.dispatch_ear import Ear
from trunkline_relay.handlers.dispatch_log import DispatchLog
from trunkline_relay.handlers.dispatch_neighbours import Neighbours
from trunkline_relay.handlers.dispatching import Dispatching, Ways
from trunkline_relay.handlers.end_dispatch import EndDispatch
from trunkline_relay.handlers.find_letters import FindLetters
from trunkline_relay.handlers.fold_facts import Folding
from trunkline_relay.handlers.folding_spans import FoldingSpans
from trunkline_relay.handlers.following import Following
from trunkline_relay.handlers.handle_letters import HandleLetters
from trunkline_relay.handlers.keep_fresh import Freshness
from trunkline_relay.handlers.rebuild import Rebuild
from trunkline_relay.handlers.report_run import ReportRun
from trunkline_relay.handlers.requeue_letter import RequeueLetter
from trunkline_relay.handlers.show_letters import ShowLetters
from trunkline_relay.handlers.show_webhooks import ShowWebhooks
from trunkline_relay.handlers.slots import Slots
from trunkline_relay.handlers.start_workflow import StartWorkflow
from trunkline_relay.handlers.tell_webhooks import TaskSubjects, TellWebhooks
from trunkline_relay.handlers.verify_address import VerifyAddress
from trunkline_relay.handlers.wake_deliveries import WakeDeliveries
from trunkline_relay.handlers.witness import REMEDY, WRITABLE, Blind, Life, Witness
from trunkline_relay.model.addresses import Reach
from trunkline_relay.model.dispatch import Cue, Dispatch, decide, evolve
from trunkline_relay.model.dispatch_steps import Terms
from trunkline_relay.model.dispatch_trying import PAUSES, Pauses
from trunkline_relay.ports import Log, Views
from trunkline_relay.settings import Settings
from trunkline_relay.subscriptions import (
    SERVICE,
    subscribe,
    subscribe_dispatches,
    subscribe_to_desk,
    subscribe_to_letters,
    subscribe_to_news,
    subscribe_to_witness,
)

log = structlog.get_logger()


@asynccontextmanager
async def running(settings: Settings, pauses: Pauses = PAUSES) -> AsyncIterator[None]:
    """Entered, the views are built and the relay answers; left, it has stopped. Raises Unavailable, Conflict, Invalid."""
    async with connect(settings, SERVICE, beside(settings, SERVICE)) as bus:
        end = await bus.log.last_seq()
        with closing(open_views(settings.views_file(), bus.epoch, end)) as views:
            async with _witnessing(bus, settings), answering(bus, bus.log, views, settings, pauses):
                yield


@asynccontextmanager
async def answering(bus: Bus, events: Log, views: Views, settings: Settings, pauses: Pauses = PAUSES) -> AsyncIterator[None]:
    """Entered, the views hold what `events` held and queries are answered from them; left, they are not any more."""
    freshness = Freshness(events.last_seq, views.checkpoint)
    folding = Folding(events, views, bus.epoch, freshness, FoldingSpans(bus.watch.tracer).tell)
    settled = partial(freshness.settled, settings.relay_fresh_within_s)
    webhooks = _webhooks(bus, TaskSubjects(views.task, settled), settings)
    dispatches = _dispatches(bus, (views, AnswerListDispatches(views, settled)), settings, pauses)
    async with vital(freshness.run, folding.run), webhooks as told, dispatches:
        await _letters(bus, (views, settled), *told)
        await freshness.caught_up(settings.relay_build_within_s)
        log.info("relay.views_built", seq=views.checkpoint)
        subscribe(bus.inlet, views, settled)
        try:
            await bus.inlet.start(SERVICE)
            yield
        finally:
            await bus.inlet.stop()


@asynccontextmanager
async def _webhooks(bus: Bus, about: TaskSubjects, settings: Settings) -> AsyncIterator[tuple[DeliveryShelf, ShowWebhooks]]:
    """Entered, every webhook is known and everything about them is declared, to be heard when the inlet starts."""
    reach = Reach(tuple(ip_network(each, strict=False) for each in settings.webhook_networks_allowed), settings.webhook_ports)
    ledger = bus.ledger(HOOKS)
    hooks = HookBook(ledger, bus.heard(ledger, subjects.ALL_HOOKS), Sealing(settings.sealing_key))
    shelf = DeliveryShelf(bus.ledger(DELIVERIES))
    await hooks.start()
    await shelf.start()
    async with subscribers(reach, settings.webhook_answer_within_s) as outside, system_names() as names, vital(hooks.run):
        slots, sender = Slots(settings.webhook_per_host, settings.webhook_in_flight), Sender(hooks, outside, now, bus.watch.tracer)
        change = ChangeWebhooks(hooks, bus.timers, reach, names, bus.log.last_seq)
        show = ShowWebhooks(hooks, shelf, now)
        subscribe_to_desk(bus.inlet, change, show)
        deliver, verify = Deliver(hooks, shelf, bus.timers, slots, sender), VerifyAddress(hooks, bus.timers, slots, sender, now)
        tell = TellWebhooks(hooks, shelf, deliver.at_once, about, (bus.epoch_at, settings.public_url.rstrip("/")))
        subscribe_to_news(bus.inlet, tell, deliver, verify)
        async with vital(WakeDeliveries(slots, deliver.woken).run):
            yield shelf, show


async def _letters(bus: Bus, reads: tuple[Views, Callable[[], Awaitable[None]]], shelf: DeliveryShelf, webhooks: ShowWebhooks) -> None:
    """All about dead letters is declared, to be heard when the inlet starts. Raises Unavailable."""
    book = LetterBook(bus.ledger(DEAD))
    await book.start()
    find = FindLetters(book, *reads, shelf)
    requeue = RequeueLetter(bus.commands, bus.dead, webhooks.redeliver)
    subscribe_to_letters(bus.inlet, ShowLetters(find), HandleLetters(find, requeue, now))


@asynccontextmanager
async def _witnessing(bus: Bus, settings: Settings) -> AsyncIterator[None]:
    """Entered, the log is chained and signed for, and looked through. Raises Invalid for a key that is none."""
    witness = await asyncio.to_thread(_witness, bus, settings)  # years of checkpoints take seconds to read
    subscribe_to_witness(bus.inlet, witness.get)
    bus.watch.meters.ask("log_whole", lambda: float(witness.view.state not in (Integrity.BROKEN, Integrity.UNSIGNED)))
    async with vital(witness.run):
        yield


def _witness(bus: Bus, settings: Settings) -> Witness | Blind:
    relay = f"{settings.relay_instance}@{gethostname()}"  # replicas on several machines may all go by one name
    try:
        book = audit_book(settings)
    except Broken as error:
        return Blind(IntegrityView(state=Integrity.BROKEN, relay=relay, findings=(str(error),), said=REMEDY))
    except OSError as error:
        return Blind(IntegrityView(state=Integrity.UNSIGNED, relay=relay, findings=(str(error),), said=f"{WRITABLE}; then start it anew"))
    life = Life(bus.life, timedelta(days=settings.events_days), relay, now)
    return Witness(bus.log, book, life) if book else Blind(IntegrityView(state=Integrity.OFF, relay=relay))


@asynccontextmanager
async def _dispatches(bus: Bus, reads: tuple[Views, AnswerListDispatches], settings: Settings, pauses: Pauses) -> AsyncIterator[None]:
    """Entered, all about workflows at GitHub is declared, to be heard when the inlet starts. Raises Invalid."""
    views, listed = reads
    await bus.roll.start()
    terms = Terms(
        start=timedelta(seconds=settings.github_start_within_s),
        call=timedelta(seconds=settings.github_call_within_s),
        follow=timedelta(seconds=settings.github_follow_s),
        pauses=pauses,
    )
    actor: Actor[Dispatch, Cue] = Actor(bus.log, decide, evolve)
    book, keys = DispatchLog(bus.log, actor, now), InstanceKeys(settings.sealing_key, time.time)
    async with github_workflows(_github(settings, pauses)) as github:
        ways = Ways(
            StartWorkflow(book, github, keys, settings.github_event_type, pauses),
            Following(book, github, Neighbours(book, views, listed.settled), terms),
            EndDispatch(book, github, bus.roll, bus.dead, pauses),
        )
        dispatching = Dispatching(book, ways, BusDispatchTimers(bus.timers), terms)
        subscribe_dispatches(bus.inlet, Ear(dispatching, ReportRun(book, views, dispatching, listed.settled), listed))
        yield


def _github(settings: Settings, pauses: Pauses) -> Options:
    return Options(
        api_url=settings.github_api_url,
        token=settings.github_token.get_secret_value(),
        app_id=settings.github_app_id,
        app_key_file=settings.github_app_key_file,
        gap_s=pauses.gap,
        doubt_s=pauses.refused,
        call_s=pauses.call,
    )


@contextmanager
def rebuilding(epoch: str) -> Iterator[tuple[Rebuild, Views]]:
    """Views in a place of their own that is gone afterwards, and what fills them out of the log."""
    with TemporaryDirectory(prefix="trunkline-views-") as folder, closing(scratch_views(Path(folder) / "views.db", epoch)) as views:
        yield Rebuild(views, epoch), views
